"""Makes the tiny random models of Tests/ModelsTests/Fixtures/tiny, and what transformers computes with them.

    pip install torch==2.13.0 transformers==5.19.0 gguf==0.19.0
    python scripts/tiny_models.py Tests/ModelsTests/Fixtures/tiny

Of each architecture a folder: config.json, generation_config.json, tokenizer.json and *.safetensors as `save_pretrained`
writes them, model.gguf with the names and keys of llama.cpp's `gguf` package, and expected.json. That has, for each case,
a prompt, the context that the model is loaded for (null: its own), the logits of some positions in float32, and the
16 tokens that follow at temperature 0.
"""

import copy
import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, decoders

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = [("Ġ", "t"), ("h", "e"), ("i", "n"), ("Ġt", "he"), ("e", "r"), ("o", "n")]
VOCABULARY = 272
SHAPE = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
    pad_token_id=0, tie_word_embeddings=False,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64)
LONGROPE = dict(
    rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.1, 1.3], long_factor=[1.5, 3.0, 4.0],
    original_max_position_embeddings=64)

# Folder: the classes' prefix, what differs from SHAPE, the architecture of GGUF.
MODELS = {
    "llama": ("Llama", dict(rope_parameters=LLAMA3), "LLAMA"),
    "tinyllama": ("Llama", dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0)), "LLAMA"),
    "mistral": ("Mistral", dict(sliding_window=24, head_dim=16), "LLAMA"),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True), "QWEN2"),
    "qwen3": ("Qwen3", dict(head_dim=16), "QWEN3"),
    "phi3": (
        "Phi3",
        dict(rope_parameters=LONGROPE | dict(partial_rotary_factor=0.75), partial_rotary_factor=0.75,
             original_max_position_embeddings=64, sliding_window=48),
        "PHI3"),
    "gemma": ("Gemma", dict(head_dim=16, tie_word_embeddings=True), "GEMMA"),
    "gemma2": (
        "Gemma2",
        dict(head_dim=16, tie_word_embeddings=True, num_hidden_layers=3, sliding_window=24, query_pre_attn_scalar=20,
             attn_logit_softcapping=4.0, final_logit_softcapping=6.0),
        "GEMMA2"),
    "gemma3": (
        "Gemma3",
        dict(head_dim=16, tie_word_embeddings=True, num_hidden_layers=7, num_attention_heads=2, num_key_value_heads=1,
             intermediate_size=32, sliding_window=24, query_pre_attn_scalar=20),
        "GEMMA3"),
}


def tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda c: byte_of(c))
    tokens = SPECIALS + alphabet + ["".join(pair) for pair in MERGES]
    made = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=MERGES))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    return made, tokens


def byte_of(character):
    visible = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    others = [byte for byte in range(256) if byte not in visible]
    code = ord(character)
    return code if code < 0x100 else others[code - 0x100]


def make(prefix, changes, seed):
    name = prefix + "Text" if prefix == "Gemma3" else prefix
    config = getattr(transformers, name + "Config")(**(SHAPE | changes))
    config._attn_implementation = "eager"
    model = getattr(transformers, prefix + "ForCausalLM")(config).eval()
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.rand(parameter.shape, generator=dice) * 2 - 1
            if name.endswith("norm.weight"):
                parameter.copy_(0.2 * noise + (0 if prefix.startswith("Gemma") else 1))
            elif name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            elif "embed" in name:
                parameter.copy_(noise)
            else:
                parameter.copy_(noise * 2 * math.sqrt(3 / parameter.shape[-1]))
            parameter.copy_(parameter.to(torch.bfloat16).to(torch.float32))
    return model, config


@torch.no_grad()
def case(model, length, max_context, seed):
    dice = torch.Generator().manual_seed(seed)
    prompt = torch.randint(3, 262, (length,), generator=dice).tolist()
    logits = model(torch.tensor([prompt]), use_cache=False).logits[0].float()
    tokens = list(prompt)
    for _ in range(16):
        last = model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        best = torch.topk(last, 2).values
        assert best[0] - best[1] > 1e-3, "the greedy choice is too close: take another seed"
        tokens.append(int(last.argmax()))
    positions = [0, length // 2, length - 1]
    rows = [[float(f"{x:.6g}") for x in logits[position].tolist()] for position in positions]
    return dict(max_context=max_context, prompt=prompt, positions=positions, logits=rows, greedy=tokens[length:])


def write_gguf(path, model, config, architecture, tokens):
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[architecture]])
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    if architecture == "GEMMA2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if architecture in ("GEMMA2", "GEMMA3"):
        writer.add_attention_scale(config.query_pre_attn_scalar ** -0.5)
    extra = {}
    if rope["rope_type"] == "llama3":
        extra["rope_freqs.weight"] = llama3_divisors(rope, head_dim)
    if rope["rope_type"] == "longrope":
        writer.add_rope_dimension_count(int(head_dim * config.partial_rotary_factor))
        original = rope["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)
        scale = config.max_position_embeddings / original
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)))
        extra["rope_factors_long.weight"] = np.array(rope["long_factor"], dtype=np.float32)
        extra["rope_factors_short.weight"] = np.array(rope["short_factor"], dtype=np.float32)
    add_tokenizer(writer, tokens)
    for name, values in extra.items():
        writer.add_tensor(name, values)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture], config.num_hidden_layers)
    for name, values in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = values.float().numpy()
        if architecture.startswith("GEMMA") and name.endswith("norm.weight"):
            values = values + 1
        if architecture == "LLAMA" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = values.reshape(heads, 2, head_dim // 2, -1).swapaxes(1, 2).reshape(values.shape)
        name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if values.ndim == 1:
            writer.add_tensor(name, values.astype(np.float32))
        else:
            # float32 whose lower halves are zero: the upper halves are the bfloat16.
            halves = (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)
            writer.add_tensor(name, halves.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama3_divisors(rope, head_dim):
    """As in convert_hf_to_gguf.py."""
    divisors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        old, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
        if wavelength < old / high:
            divisors.append(1)
        elif wavelength > old / low:
            divisors.append(rope["factor"])
        else:
            smooth = (old / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(divisors, dtype=np.float32)


def add_tokenizer(writer, tokens):
    tokens = tokens + [f"<unused{id}>" for id in range(len(tokens), VOCABULARY)]
    kinds = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 262 + [gguf.TokenType.UNUSED] * (VOCABULARY - 265)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def main(out):
    made, tokens = tokenizer()
    for seed, (name, (prefix, changes, architecture)) in enumerate(MODELS.items()):
        folder = pathlib.Path(out) / name
        shutil.rmtree(folder, ignore_errors=True)
        model, config = make(prefix, changes, seed)
        # Two shards and an index in one of them.
        size = "40KB" if name == "llama" else "5GB"
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder, max_shard_size=size)
        made.save(str(folder / "tokenizer.json"))
        cases = [case(model, 72, None, seed + 100)]
        if name == "phi3":
            cases.append(case(model, 40, 64, seed + 200))
        write_gguf(folder / "model.gguf", model, config, architecture, tokens)
        (folder / "expected.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
        print(name, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


main(sys.argv[1])
