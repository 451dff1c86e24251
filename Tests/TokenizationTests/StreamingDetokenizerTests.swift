import TestSupport
import Testing
import Tokenization

@Suite struct StreamingDetokenizerTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try Tokenizer(byteVocabulary(special: ["<|end|>"]))
  }

  private func ids(of bytes: [UInt8]) -> [Int32] { bytes.map(Int32.init) }

  private func pieces(_ ids: [Int32], skipSpecial: Bool = true) -> [String] {
    var detokenizer = StreamingDetokenizer(tokenizer, skipSpecial: skipSpecial)
    return ids.map { detokenizer.append($0) } + [detokenizer.finish()]
  }

  @Test func `A character comes out with its last byte`() {
    #expect(pieces(ids(of: Array("é".utf8))) == ["", "é", ""])
    #expect(pieces(ids(of: Array("a🎉b".utf8))) == ["a", "", "", "", "🎉", "b", ""])
  }

  static let brokenTexts: [([UInt8], [String])] = [
    ([0xFF, 0x61], ["\u{FFFD}", "a", ""]),
    ([0xC3, 0x61], ["", "\u{FFFD}a", ""]),
    ([0xE2, 0x82, 0x41], ["", "", "\u{FFFD}A", ""]),
    ([0xE0, 0x80], ["", "\u{FFFD}\u{FFFD}", ""]),
    ([0xED, 0xA0], ["", "\u{FFFD}\u{FFFD}", ""]),
    ([0xF4, 0x90], ["", "\u{FFFD}\u{FFFD}", ""]),
    ([0xF0, 0x9F, 0x8E], ["", "", "", "\u{FFFD}"]),
    ([0x80, 0xC0], ["\u{FFFD}", "\u{FFFD}", ""]),
  ]

  @Test(arguments: brokenTexts)
  func `Bytes that can become no character come out as replacement characters`(bytes: [UInt8], expected: [String]) {
    #expect(pieces(ids(of: bytes)) == expected)
  }

  @Test func `The pieces of any bytes together are the text of all of them`() {
    var rng = SplitMix64(seed: 5)
    // Leads, continuations and ASCII, so that sequences often begin, and often break off.
    let alphabet: [UInt8] = [
      0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xC3, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5,
    ]
    for _ in 0..<3000 {
      let bytes = (0..<Int.random(in: 0...12, using: &rng)).map { _ in alphabet[Int.random(in: 0..<16, using: &rng)] }
      let ids = ids(of: bytes)
      let text = pieces(ids).joined()
      #expect(Array(text.utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8))
      #expect(Array(text.utf8) == Array(tokenizer.decode(ids, skipSpecial: true).utf8))
    }
  }

  @Test func `Special tokens are skipped on demand, and do not complete a character`() {
    let broken = ids(of: [0xC3]) + [256] + ids(of: [0xA9])
    #expect(pieces(broken) == ["", "", "é", ""])
    #expect(pieces(broken, skipSpecial: false) == ["", "\u{FFFD}<|end|>", "\u{FFFD}", ""])
  }
}
