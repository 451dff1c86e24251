"""Writes the reference encodings that the tests hold our tokenizers to, into this folder.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0
    python make_reference.py ~/.cache/xpyd/models/smollm2-135m-instruct.gguf

byte_level.jsonl      A text, and what Hugging Face's `tokenizers` makes of it with SmolLM2's vocabulary and merges: for gpt-2,
                      smollm, llama-bpe and qwen2 ("": as the one before) the hashes of its words' byte counts, of its
                      ids, and, if they differ, of its ids where special tokens are parsed.
smollm2.json          SmolLM2's ids of the texts that the file holds already: prompts, with special tokens parsed, and short
                      cases, with and without.
sentencepiece.json    A model of 1,000 tokens, trained here by `sentencepiece`, and the ids that it makes of some texts.
"""

import io
import json
import random
import sys

import sentencepiece
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

LINES = 2600
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def by_regex(pattern):
    return Sequence([Split(Regex(pattern), behavior="isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])


PRE_TOKENIZERS = {
    "gpt-2": ByteLevel(add_prefix_space=False),
    "smollm": Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]),
    "llama-bpe": by_regex(LLAMA3),
    "qwen2": by_regex(LLAMA3.replace("{1,3}", "")),
}

# First and last scalar of what the lines are drawn from.
BLOCKS = {
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F)],
    "punctuation": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0xA1, 0xBF), (0x2010, 0x205E), (0x20A0, 0x20C0)],
    "space": [(0x20, 0x20)] * 6 + [(0x09, 0x0D)] * 2 + [(0x0A, 0x0A), (0x0D, 0x0D), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x2060), (0x3000, 0x3000), (0xFEFF, 0xFEFF)],
    "number": [(0x30, 0x39)] * 4 + [(0xB2, 0xB3), (0xBC, 0xBE), (0x660, 0x669), (0x966, 0x96F), (0x2070, 0x2079), (0x2150, 0x2188), (0x2460, 0x249B), (0x3007, 0x3007), (0xFF10, 0xFF19), (0x1D7CE, 0x1D7FF), (0x10107, 0x10133)],
    "combining": [(0x300, 0x36F), (0x61, 0x7A), (0x61, 0x7A), (0x1AB0, 0x1AC0), (0x20D0, 0x20F0), (0xFE00, 0xFE0F)],
    "greek, cyrillic": [(0x370, 0x3FF), (0x400, 0x52F)],
    "hebrew, arabic": [(0x590, 0x5F4), (0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF)],
    "indic": [(0x900, 0xDFF)],
    "thai, tibetan, georgian": [(0xE00, 0xFFF), (0x10A0, 0x10FF)],
    "cjk": [(0x3040, 0x30FF), (0x3100, 0x318F), (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x20100), (0xFF00, 0xFFEF)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF)],
    "symbols": [(0x2100, 0x214F), (0x2190, 0x2BFF), (0x1D400, 0x1D7FF)],
    "emoji": [(0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1FAFF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x2600, 0x27BF)],
    "control": [(0x00, 0x1F), (0x7F, 0x9F)],
    "private, unassigned": [(0xE000, 0xE010), (0x378, 0x379), (0xFFF0, 0xFFFF), (0x40000, 0x40010), (0x10FFF0, 0x10FFFF), (0xE0000, 0xE007F)],
    "any": [(0x00, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x323AF)],
}
WORDS = """don't DON'T I'll I'LL we've WE'VE they're o'clock 's 'S 'ſ 'ſt 'rE ' '' 'x it'd'm 'll 'lL l'l ''s
The quick brown fox return def int main() {} x=1; 3.14 1,000,000 0xFF 12345678 100% a1b2c3 v1.2.3 e=mc² ½cup
Größe naïve café Ångström über-cool Привет мир 東京 你好，世界！ こんにちは 안녕하세요 مرحبا ไทย शास्त्री 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽
http://example.com/a?b=c&d=e user@example.com snake_case CamelCase kebab-case /usr/bin/env \\n \\t <b>bold</b> {{x}} $x^2$
e\u0301 e\u0323\u0302 e\u0302\u0323 \u212b \u2126 \u1100\u1161\u11a8 が \u0344 \ufb01 \uf900""".split()
GAPS = ["", " ", " ", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", "\t", "\r\n", " \r\n\r\n  ", "\u00a0", "\u3000 ", ". ", ", "]


def random_scalars(rng, blocks, count):
    text = ""
    while len(text) < count:
        first, last = rng.choice(blocks)
        scalar = rng.randint(first, last)
        if not 0xD800 <= scalar <= 0xDFFF:
            text += chr(scalar)
    return text


def make_lines(special):
    rng = random.Random(20260101)
    lines = []
    for index in range(LINES):
        kind = index % 5
        if kind == 0:  # one block
            lines.append(random_scalars(rng, BLOCKS[rng.choice(sorted(BLOCKS))], rng.randint(1, 12)))
        elif kind == 1:  # short runs of many blocks, close together
            lines.append("".join(random_scalars(rng, BLOCKS[rng.choice(sorted(BLOCKS))], rng.randint(1, 3)) for _ in range(rng.randint(2, 7))))
        elif kind == 2:  # words and gaps
            lines.append("".join(rng.choice(WORDS) + rng.choice(GAPS) for _ in range(rng.randint(1, 5))))
        elif kind == 3:  # what the rules turn on: white space, digits, quotes, letters
            lines.append("".join(rng.choice(["  ", " ", "\n", "\r", "\t", "\u2003", "7", "42", "'", "'s", "a", "É", "!", "…", "\u0301"]) for _ in range(rng.randint(2, 10))))
        else:  # special tokens inside, whole and broken
            parts = [rng.choice(WORDS), rng.choice(special), rng.choice(GAPS), rng.choice(special)[: rng.randint(1, 16)], rng.choice(special)]
            rng.shuffle(parts)
            lines.append("".join(parts))
    return lines


def fnv(numbers):
    """FNV-1a, 32 bits, over the numbers as 32-bit little-endian words."""
    value = 0x811C9DC5
    for number in numbers:
        for byte in number.to_bytes(4, "little"):
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"


def byte_level_tokenizers(path):
    """Of each pre-tokenizer, one that does not know the special tokens and one that does; and these tokens."""
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    special = [token for token, kind in zip(tokens, types) if kind == 3]

    def tokenizer(name):
        model = models.BPE({token: id for id, token in enumerate(tokens)}, merges, ignore_merges=name == "llama-bpe")
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = PRE_TOKENIZERS[name]
        if name == "qwen2":
            tokenizer.normalizer = normalizers.NFC()
        return tokenizer

    plain = {name: tokenizer(name) for name in PRE_TOKENIZERS}
    parsing = {name: tokenizer(name) for name in PRE_TOKENIZERS}
    for each in parsing.values():
        each.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])

    return plain, parsing, special


def byte_level(plain, parsing, special):
    with open("byte_level.jsonl", "w") as file:
        for text in make_lines(special):
            row, previous = [text], ""
            for name, pre_tokenizer in PRE_TOKENIZERS.items():
                words = [len(word) for word, _ in pre_tokenizer.pre_tokenize_str(text)]
                ids = [each[name].encode(text, add_special_tokens=False).ids for each in (plain, parsing)]
                hashes = " ".join(map(fnv, [words, ids[0]] + [ids[1]] * (ids[0] != ids[1])))
                row.append("" if hashes == previous else hashes)
                previous = hashes
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def smollm2(plain, parsing):
    with open("smollm2.json") as file:
        cases = json.load(file)
    for case in cases:
        case["ids"] = parsing.encode(case["text"], add_special_tokens=False).ids
        if "idsWithoutParsing" in case:
            case["idsWithoutParsing"] = plain.encode(case["text"], add_special_tokens=False).ids
    lines = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases]
    with open("smollm2.json", "w") as file:
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def sentence_piece():
    rng = random.Random(7)
    names = ["latin", "cjk", "greek, cyrillic", "number"]
    sentences = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 12))) for _ in range(3000)]
    sentences += [random_scalars(rng, BLOCKS[rng.choice(names)][:1], 5) + " " + rng.choice(WORDS) for _ in range(300)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, model_type="bpe", vocab_size=1000, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.995,
        allow_whitespace_only_pieces=True, split_digits=True, num_threads=1, minloglevel=2)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    def kind(id):
        return 2 if pieces.is_unknown(id) else 3 if pieces.is_control(id) else 6 if pieces.is_byte(id) else 1

    texts = [text for text in make_lines(["<s>", "</s>", "<unk>", "<0x41>"])[::9] if "\0" not in text] + ["", " ", "  ", "\n", "▁", " ▁ x"]
    ids = range(pieces.get_piece_size())
    with open("sentencepiece.json", "w") as file:
        json.dump({
            "tokens": [pieces.id_to_piece(id) for id in ids],
            "scores": [pieces.get_score(id) for id in ids],
            "types": [kind(id) for id in ids],
            "cases": [{"text": text, "ids": pieces.encode(text), "decoded": pieces.decode(pieces.encode(text))} for text in texts],
        }, file, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    plain, parsing, special = byte_level_tokenizers(sys.argv[1])
    byte_level(plain, parsing, special)
    smollm2(plain["smollm"], parsing["smollm"])
    sentence_piece()
