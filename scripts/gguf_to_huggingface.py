"""Writes a Llama-family GGUF file as a Hugging Face folder that vLLM and transformers load: weights as float32.

gguf_to_huggingface.py MODEL.gguf FOLDER [--without-weights]. Needs gguf and numpy; for the weights safetensors and torch. A
finished folder is left as it is.
"""

import json
import pathlib
import sys

import numpy
from gguf import GGUFReader, dequantize

OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
IN_LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
CONTROL = 3  # GGUF's type of tokens that stand for no text


def half_rotated(weight, heads):
    """llama.cpp rotates neighbouring pairs, transformers the two halves of a head: undoes the permutation of the rows."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(reader, heads, kv_heads):
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        weight = numpy.array(dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32).reshape(shape)
        if tensor.name in OUTER:
            yield OUTER[tensor.name], weight
        elif tensor.name.startswith("blk."):
            _, layer, part, _ = tensor.name.split(".")
            if part in ("attn_q", "attn_k"):
                weight = half_rotated(weight, heads if part == "attn_q" else kv_heads)
            yield f"model.layers.{layer}.{IN_LAYER[part]}.weight", weight


def configuration(fields, tied):
    hidden, heads = fields["llama.embedding_length"], fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float32", "torch_dtype": "float32",
        "hidden_size": hidden, "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"], "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"], "head_dim": hidden // heads,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]), "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(float(fields["llama.attention.layer_norm_rms_epsilon"]), 9),
        "rope_theta": float(fields["llama.rope.freq_base"]), "rope_scaling": None, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": tied,
        "bos_token_id": int(fields["tokenizer.ggml.bos_token_id"]),
        "eos_token_id": int(fields["tokenizer.ggml.eos_token_id"]),
    }  # fmt: skip


def tokenizer(fields):
    """SmolLM2's byte-level BPE, which splits digits."""
    vocabulary, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [
            {"id": i, "content": token, **flags} for i, token in enumerate(vocabulary) if kinds[i] == CONTROL
        ],
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, {**byte_level, "add_prefix_space": False}],
        },
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(vocabulary)}, "merges": fields["tokenizer.ggml.merges"],
        },
    }  # fmt: skip


def write_weights(path, weights):
    import torch
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    tensors = {name: torch.from_numpy(numpy.ascontiguousarray(weight)) for name, weight in weights.items()}
    save_file(tensors, part, metadata={"format": "pt"})
    part.rename(path)


def main(source, folder, *flags):
    folder = pathlib.Path(folder)
    # Written last: it says that the folder is whole.
    last = folder / ("chat_template.jinja" if "--without-weights" in flags else "model.safetensors")
    if last.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    reader = GGUFReader(source)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    heads, kv_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    config = configuration(fields, tied)
    names = {part: fields["tokenizer.ggml.tokens"][config[f"{part}_token_id"]] for part in ("bos", "eos")}
    special = {f"{part}_token": token for part, token in names.items()}
    template = fields["tokenizer.chat_template"]
    files = {
        "config.json": config,
        "generation_config.json": {key: config[key] for key in ("bos_token_id", "eos_token_id")},
        "tokenizer.json": tokenizer(fields),
        "tokenizer_config.json": {
            **special, "pad_token": special["eos_token"], "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False, "model_max_length": fields["llama.context_length"],
            "chat_template": template,
        },
        "special_tokens_map.json": {**special, "pad_token": special["eos_token"]},
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False))
    (folder / "chat_template.jinja").write_text(template)
    if last.suffix == ".safetensors":
        write_weights(last, dict(tensors(reader, heads, kv_heads)))


main(*sys.argv[1:])
