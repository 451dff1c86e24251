import ModelFiles

/// Which of our pre-tokenizers a `tokenizer.json` describes.
struct ByteLevelRules {
  private static let llama3 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let qwen2 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let tekken =
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
    + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
    + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  private let steps: [JSONValue]
  private let normalizers: [String?]

  init(_ tokenizer: JSONValue) {
    steps = tokenizer["pre_tokenizer"].steps("pretokenizers")
    normalizers = tokenizer["normalizer"].steps("normalizers").map { $0["type"]?.string }
  }

  func preTokenizer() throws(TokenizerError) -> PreTokenizer {
    let words = try rules()
    guard normalizers == (words.normalizesText ? ["NFC"] : []) else {
      throw .unsupported("the normalizers \(normalizers.map { $0 ?? "?" }) with these words")
    }
    return words
  }

  private func rules() throws(TokenizerError) -> PreTokenizer {
    guard let last = steps.last, last["type"]?.string == "ByteLevel", last["add_prefix_space"]?.bool != true else {
      throw .unsupported("a pre-tokenizer that does not end with ByteLevel")
    }
    let usesRegex = last["use_regex"]?.bool ?? true
    switch (steps.dropLast().map { $0["type"]?.string }, usesRegex) {
    case ([], true): return .gpt2
    case (["Digits"], true) where steps[0]["individual_digits"]?.bool == true: return .smolLM
    case (["Split"], false) where steps[0]["behavior"]?.string == "Isolated" && steps[0]["invert"]?.bool != true:
      let pattern = steps[0]["pattern"]?["Regex"]?.string ?? ""
      if pattern == Self.llama3 { return .llama3 }
      if pattern == Self.qwen2 { return .qwen2 }
      if pattern == Self.tekken { return .tekken }
      throw .unknownPreTokenizer(pattern)
    case (let types, _): throw .unsupported("the pre-tokenizers \(types.map { $0 ?? "?" }) before ByteLevel")
    }
  }
}
