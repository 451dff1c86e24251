"""Writes documents/*.json: tokenizers as model families have them, trained here, and the ids that they give.

    pip install tokenizers==0.23.3
    python make_documents.py

Each file has a `tokenizer.json` (of some 600 tokens) and, for groups of 10 of 10,000 lines, the hash of the ids that
Hugging Face's `tokenizers` gives, special tokens parsed and BOS added; each line is two of byte_level.jsonl's. And for some
short texts the ids themselves and what they decode to. The trainer breaks ties by chance, so that another run gives some
characters other ids.
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [json.loads(line)[0] for line in open("byte_level.jsonl")]
LINES = [TEXTS[k * 7 % len(TEXTS)] + TEXTS[(k * 13 + 5 + k // len(TEXTS)) % len(TEXTS)] for k in range(10_000)]
SHORT = [
    "", " ", "Hello world", "  two  spaces ", "<s>x</s> y", "a\nb\n\nc", "Größe ▁ naïve", "你好，世界！", "👩‍👩‍👧 x",
    "1234567", "<|im_start|>user\n hi<|im_end|>  \n ok", "e\u0323\u0302 \u212b", "<tool_call>{}</tool_call>", "   ",
]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def fnv(numbers):
    """FNV-1a, 32 bits, over the numbers as 32-bit little-endian words."""
    value = 0x811C9DC5
    for number in numbers:
        for byte in number.to_bytes(4, "little"):
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def byte_level(split, normalizer=None, ignore_merges=False, bos=None):
    made = Tokenizer(models.BPE())
    made.normalizer = normalizer
    made.pre_tokenizer = split
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=[], show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    document = json.loads(made.to_str())
    document["model"]["ignore_merges"] = ignore_merges
    made = Tokenizer.from_str(json.dumps(document))
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    made.add_tokens([AddedToken(text, normalized=False) for text in ("<tool_call>", "</tool_call>")])
    made.decoder = decoders.ByteLevel()
    if bos:
        made.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=False), template(bos, made.token_to_id(bos))])
    return made


def by_regex(pattern):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
         pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def template(text, id):
    return processors.TemplateProcessing(single=f"{text} $A", pair=f"{text} $A $B", special_tokens=[(text, id)])


def characters(normalizer, pre_tokenizer, added, strips_prefix):
    """As converters make them of SentencePiece's models."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    words = [text.replace(" ", "▁") for text in TEXTS]
    trained.train_from_iterator(
        words, trainers.BpeTrainer(vocab_size=340, limit_alphabet=160, initial_alphabet=["▁"], special_tokens=[],
                                   show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += [piece for piece, _ in sorted(model["vocab"].items(), key=lambda item: item[1]) if piece not in pieces]
    pieces += [text for text in ("▁▁", "▁▁▁") if text not in pieces]
    merges = [tuple(merge) for merge in model["merges"]]
    for merge in (("▁", "▁"), ("▁▁", "▁"), ("▁", "▁▁")):
        if merge not in merges:
            merges.append(merge)
    made = Tokenizer(
        models.BPE({piece: id for id, piece in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True,
                   byte_fallback=True))
    made.normalizer = normalizer
    if pre_tokenizer:
        made.pre_tokenizer = pre_tokenizer
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    made.add_special_tokens([token for token in added if token.special])
    made.add_tokens([token for token in added if not token.special])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strips_prefix else []))
    made.post_processor = template("<s>", 1)
    return made


def replace():
    return normalizers.Replace(" ", "▁")


def prefixed():
    return normalizers.Sequence([normalizers.Prepend("▁"), replace()])


def chat(strips):
    return [AddedToken(text, special=True, normalized=False, rstrip=strips) for text in SPECIALS]


DOCUMENTS = {
    "gpt2": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "llama3": byte_level(by_regex(LLAMA3), ignore_merges=True, bos="<|endoftext|>"),
    "qwen2": byte_level(by_regex(LLAMA3.replace("{1,3}", "")), normalizer=normalizers.NFC()),
    "tekken": byte_level(by_regex(TEKKEN), ignore_merges=True, bos="<|endoftext|>"),
    "llama2": characters(prefixed(), None, chat(False), True),
    "phi3": characters(prefixed(), None, chat(True), True),
    "mistral": characters(
        None, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False), chat(False), True),
    "metaspace-always": characters(
        None, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False),
        [AddedToken("<|im_start|>", special=True, normalized=False, lstrip=True)], True),
    "gemma": characters(
        replace(), pre_tokenizers.Split(" ", behavior="merged_with_previous"),
        chat(False) + [AddedToken("▁▁", normalized=False), AddedToken("\n\n", normalized=False)], False),
}


def main():
    folder = pathlib.Path("documents")
    folder.mkdir(exist_ok=True)
    for name, made in DOCUMENTS.items():
        ids = [encoding.ids for encoding in made.encode_batch(LINES)]
        groups = [fnv(sum(ids[k:k + 10], [])) for k in range(0, len(ids), 10)]
        cases = []
        for text in SHORT:
            plain = made.encode(text, add_special_tokens=False).ids
            cases.append(dict(text=text, ids=plain, decoded=made.decode(plain, skip_special_tokens=False)))
        record = dict(tokenizer=json.loads(made.to_str()), lines=" ".join(groups), cases=cases)
        (folder / f"{name}.json").write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
