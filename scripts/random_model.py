"""Writes GGUF files of Llama-3.2-1B's shape with random weights and no vocabulary: the time a model takes does not depend on
what it says. Source of the shape: the model's config.json."""

import pathlib
import random
import struct

SHAPE = {"layers": 16, "width": 2048, "heads": 32, "kv_heads": 8, "feed_forward": 8192, "vocabulary": 128256}
# ggml's type, and bytes of a block of 32 weights: a half-precision scale, then quants.
TYPES = {"Q4_0": (2, 18), "Q8_0": (8, 34)}
F32 = 0
ALIGNMENT = 32


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def metadata(shape):
    def pair(key, kind, form, value):
        return string(key) + struct.pack("<I" + form, kind, value)

    def word(key, value):
        return pair(key, 4, "I", value)

    return [
        string("general.architecture") + struct.pack("<I", 8) + string("llama"),
        word("general.alignment", ALIGNMENT), word("llama.block_count", shape["layers"]),
        word("llama.embedding_length", shape["width"]), word("llama.feed_forward_length", shape["feed_forward"]),
        word("llama.attention.head_count", shape["heads"]), word("llama.attention.head_count_kv", shape["kv_heads"]),
        pair("llama.attention.layer_norm_rms_epsilon", 6, "f", 1e-5), pair("llama.rope.freq_base", 6, "f", 500000.0),
        word("llama.context_length", 131072), word("llama.vocab_size", shape["vocabulary"]),
        string("tokenizer.ggml.model") + struct.pack("<I", 8) + string("no_vocab"),
    ]


def tensors(shape):
    """Name and dimensions, the inputs first."""
    width, kv = shape["width"], shape["width"] // shape["heads"] * shape["kv_heads"]
    yield "token_embd.weight", (width, shape["vocabulary"])
    yield "output_norm.weight", (width,)
    for layer in range(shape["layers"]):
        for name, *dimensions in [
                ("attn_norm", width), ("attn_q", width, width), ("attn_k", width, kv), ("attn_v", width, kv),
                ("attn_output", width, width), ("ffn_norm", width), ("ffn_gate", width, shape["feed_forward"]),
                ("ffn_up", width, shape["feed_forward"]), ("ffn_down", shape["feed_forward"], width)]:
            yield f"blk.{layer}.{name}.weight", tuple(dimensions)


def some_blocks(form, count):
    """Random quants; scales of about 0.002, or 0.0001 where quants are 16 times as large."""
    dice = random.Random(1)
    scale = struct.pack("<e", 0.002 if form == "Q4_0" else 0.0001)
    return b"".join(scale + dice.randbytes(TYPES[form][1] - 2) for _ in range(count))


def write_random_model(path, form, shape=SHAPE):
    """`form`: Q4_0 or Q8_0. 0.7 or 1.3 GB; the same 4,096 blocks over and over."""
    kind, block_bytes = TYPES[form]
    blocks = some_blocks(form, 4096)
    infos, sizes, offset = [], [], 0
    for name, dimensions in tensors(shape):
        count, is_matrix = dimensions[0] * (dimensions[1] if len(dimensions) == 2 else 1), len(dimensions) == 2
        infos.append(string(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions,
                                                kind if is_matrix else F32, offset))
        sizes.append((count // 32 * block_bytes if is_matrix else count * 4, is_matrix))
        offset += -(-sizes[-1][0] // ALIGNMENT) * ALIGNMENT
    pairs = metadata(shape)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs)) + b"".join(pairs + infos)
    part = pathlib.Path(path).with_suffix(".part")
    with open(part, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for size, is_matrix in sizes:
            chunk = blocks if is_matrix else struct.pack("<f", 1) * 1024
            for _ in range(size // len(chunk)):
                file.write(chunk)
            file.write(chunk[:size % len(chunk)] + bytes(-size % ALIGNMENT))
    part.rename(path)
