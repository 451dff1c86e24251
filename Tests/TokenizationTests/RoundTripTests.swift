import TestSupport
import Testing
import Tokenization

@Suite struct RoundTripTests {
  /// Scalars that between them take every path: widths of UTF-8, classes, normal forms, the edges of surrogates.
  private static let ranges: [ClosedRange<UInt32>] = [
    0x20...0x7E, 0x20...0x20, 0x0...0x1F, 0x30...0x39, 0x80...0x7FF, 0x300...0x36F, 0x800...0xD7FF, 0xE000...0xFFFF,
    0x1F300...0x1FAFF, 0x200D...0x200D, 0x10000...0x10FFFF,
  ]

  private static func randomText(using rng: inout SplitMix64) -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...40, using: &rng) {
      let range = ranges[Int.random(in: 0..<ranges.count, using: &rng)]
      if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &rng)) { text.append(scalar) }
    }
    return String(text)
  }

  @Test(arguments: [PreTokenizer.gpt2, .smolLM, .llama3])
  func `Any text comes back byte for byte`(preTokenizer: PreTokenizer) throws {
    let tokenizer = try Tokenizer(byteVocabulary(merges: ["Ġ t", "h e", "Ġt he", "ð Ł"], preTokenizer: preTokenizer))
    var rng = SplitMix64(seed: 11)
    for _ in 0..<2000 {
      let text = Self.randomText(using: &rng)
      let ids = tokenizer.encode(text, addSpecial: true, parseSpecial: true)
      #expect(Array(tokenizer.decode(ids, skipSpecial: false).utf8) == Array(text.utf8))
      #expect(ids.flatMap(tokenizer.bytes(of:)) == Array(text.utf8))
    }
  }

  @Test func `A text comes back less the bytes that the vocabulary lacks`() throws {
    let tokenizer = try ReferenceTokenizers.tokenizer(.smolLM)
    let known = Set(
      (0..<Int32(tokenizer.vocabularySize)).map(tokenizer.bytes(of:)).filter { $0.count == 1 }.map { $0[0] })
    #expect(known.count == 256 - 21)
    var rng = SplitMix64(seed: 12)
    for _ in 0..<2000 {
      let text = Self.randomText(using: &rng)
      let ids = tokenizer.encode(text, addSpecial: true, parseSpecial: false)
      #expect(ids.flatMap(tokenizer.bytes(of:)) == text.utf8.filter(known.contains))
    }
  }

  /// Texts on which a merge, or a scan that looks ahead, would take hours if it were quadratic.
  static let hostileUnits: [(PreTokenizer, String)] = [
    (.smolLM, "a"), (.smolLM, " "), (.smolLM, "7"), (.smolLM, "<|im_end|"), (.gpt2, "\u{10FFFF}"), (.llama3, " \n"),
    (.llama3, "'\t"), (.qwen2, "\u{E9}"),
  ]

  @Test(.timeLimit(.minutes(5)), arguments: hostileUnits)
  func `A megabyte without a break is encoded and comes back`(preTokenizer: PreTokenizer, unit: String) throws {
    let tokenizer = try ReferenceTokenizers.tokenizer(preTokenizer)
    let text = String(repeating: unit, count: (1 << 20) / unit.utf8.count)
    let ids = tokenizer.encode(text, addSpecial: true, parseSpecial: true)
    #expect(ids.flatMap(tokenizer.bytes(of:)) == Array(text.utf8))
  }

  @Test(.timeLimit(.minutes(5)))
  func `Half a megabyte of combining marks is put into normal form`() throws {
    let tokenizer = try ReferenceTokenizers.tokenizer(.qwen2)
    let marks = String(repeating: "\u{301}\u{323}", count: 1 << 17)
    let ids = tokenizer.encode(marks, addSpecial: false, parseSpecial: false)
    // Not compared with `marks`, because comparing such strings is quadratic.
    let decoded = Array(tokenizer.decode(ids, skipSpecial: false).unicodeScalars)
    #expect(decoded.count == 1 << 18 && decoded.filter { $0 == "\u{323}" }.count == 1 << 17)
  }
}
