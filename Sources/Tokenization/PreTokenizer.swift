/// Cuts text into words, which byte-level BPE then encodes one by one. Every scalar belongs to exactly one word.
///
/// Each case stands for a regular expression of Hugging Face's `tokenizer.json` files, written out by hand here, and is
/// tested against it.
package enum PreTokenizer: Sendable, CaseIterable {
  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
  case gpt2
  /// Every `\p{N}` is a word; `gpt2` cuts what lies between them.
  case smolLM
  /// ```
  /// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
  ///   \s*[\r\n]+|\s+(?!\S)|\s+
  /// ```
  case llama3
  /// As `llama3`, but numbers of one digit, and the text in Unicode's normal form C.
  case qwen2
  /// ```
  /// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|
  ///   [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|
  ///   ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
  /// ```
  case tekken

  private static let byName: [(name: String, value: PreTokenizer)] = [
    ("default", .gpt2), ("gpt-2", .gpt2), ("smollm", .smolLM), ("llama-bpe", .llama3), ("llama-v3", .llama3),
    ("llama3", .llama3), ("qwen2", .qwen2), ("deepseek-r1-qwen", .qwen2), ("tekken", .tekken),
  ]

  package static var names: [String] { byName.map(\.name) }

  /// - Parameter name: The file's `tokenizer.ggml.pre`.
  package init(named name: String) throws(TokenizerError) {
    guard let entry = Self.byName.first(where: { $0.name == name }) else { throw .unknownPreTokenizer(name) }
    self = entry.value
  }

  var normalizesText: Bool { self == .qwen2 }
  /// Where the file does not say: whether a word that is a token is taken whole, and whether a text begins with BOS.
  var isOfTiktoken: Bool { self == .llama3 || self == .tekken }
}

/// Finds the words of one text.
package struct WordScanner {
  let reader: ScalarReader
  private let rules: PreTokenizer

  /// - Parameter text: Valid UTF-8, which outlives the scanner.
  package init(_ text: UnsafeBufferPointer<UInt8>, rules: PreTokenizer) {
    reader = ScalarReader(text)
    self.rules = rules
  }

  /// The end of the word that begins at `start`, which is a word's beginning and before the end of the text.
  package func endOfWord(from start: Int) -> Int {
    switch rules {
    case .gpt2: endOfGPT2Word(from: start, isolatingDigits: false)
    case .smolLM: endOfGPT2Word(from: start, isolatingDigits: true)
    case .llama3: endOfLlama3Word(from: start, digits: 3)
    case .qwen2: endOfLlama3Word(from: start, digits: 1)
    case .tekken: endOfTekkenWord(from: start)
    }
  }

  private func endOfGPT2Word(from start: Int, isolatingDigits: Bool) -> Int {
    if let end = endOfContraction(from: start, ignoringCase: false) { return end }
    let body = reader.text[start] == UInt8(ascii: " ") ? start + 1 : start
    if body < reader.text.count {
      let (kind, end) = reader.scalar(at: body)
      switch kind {
      case .letter, .other: return reader.endOfRun(of: kind, from: end)
      case .number where !isolatingDigits: return reader.endOfRun(of: kind, from: end)
      case .number where body == start: return end
      case .number, .space, .newline: break
      }
    }
    return endOfWhitespace(from: start, leavingOneBeforeDigit: !isolatingDigits)
  }

  private func endOfLlama3Word(from start: Int, digits: Int) -> Int {
    if let end = endOfContraction(from: start, ignoringCase: true) { return end }
    let (kind, end) = reader.scalar(at: start)
    if kind == .number { return reader.endOfRun(of: .number, from: start, atMost: digits) }
    if kind == .letter { return reader.endOfRun(of: .letter, from: end) }
    if kind != .newline {
      let endOfLetters = reader.endOfRun(of: .letter, from: end)
      if endOfLetters > end { return endOfLetters }
    }
    let body = reader.text[start] == UInt8(ascii: " ") ? end : start
    let endOfOthers = reader.endOfRun(of: .other, from: body)
    if endOfOthers > body { return reader.endOfRun(of: .newline, from: endOfOthers) }
    return endOfLastNewline(from: start) ?? endOfWhitespace(from: start, leavingOneBeforeDigit: true)
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`. Without case, `s` also is `ſ` (U+017F), which folds to it.
  private func endOfContraction(from start: Int, ignoringCase: Bool) -> Int? {
    let text = reader.text
    guard text[start] == UInt8(ascii: "'"), start + 1 < text.count else { return nil }
    let caseBit: UInt8 = ignoringCase ? 0x20 : 0
    let first = text[start + 1]
    let second = start + 2 < text.count ? text[start + 2] : 0
    switch (first | caseBit, second | caseBit) {
    case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
      return start + 2
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default:
      return ignoringCase && first == 0xC5 && second == 0xBF ? start + 3 : nil
    }
  }

  /// `\s*[\r\n]+`: through the last line break of the white space that begins at `start`.
  func endOfLastNewline(from start: Int) -> Int? {
    var (index, result) = (start, Int?.none)
    while index < reader.text.count {
      let (kind, end) = reader.scalar(at: index)
      guard kind.isWhitespace else { break }
      if kind == .newline { result = end }
      index = end
    }
    return result
  }

  /// `\s+(?!\S)|\s+`: white space, without its last scalar if a word follows it and something is left.
  func endOfWhitespace(from start: Int, leavingOneBeforeDigit: Bool) -> Int {
    var (last, index) = (start, start)
    while index < reader.text.count {
      let (kind, end) = reader.scalar(at: index)
      guard kind.isWhitespace else {
        let takesAll = last == start || (kind == .number && !leavingOneBeforeDigit)
        return takesAll ? index : last
      }
      (last, index) = (index, end)
    }
    return index
  }
}
