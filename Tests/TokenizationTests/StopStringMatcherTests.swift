import TestSupport
import Testing
import Tokenization

@Suite struct StopStringMatcherTests {
  private func run(_ pieces: [String], stops: [String], includeInOutput: Bool = false) -> (String, String?) {
    var matcher = StopStringMatcher(stops, includeInOutput: includeInOutput)
    var text = ""
    for piece in pieces {
      let output = matcher.append(piece)
      text += output.text
      if let matched = output.matched {
        let after = matcher.append("more")
        #expect(after.text == "" && after.matched == nil && matcher.finish() == "")
        return (text, matched)
      }
    }
    return (text + matcher.finish(), nil)
  }

  static let examples: [(text: String, stops: [String], before: String, stop: String?)] = [
    ("Hello<|end|>rest", ["<|end|>"], "Hello", "<|end|>"),
    ("aabaabaaab", ["aaab"], "aabaab", "aaab"),
    ("aabaaabaaac", ["aabaaac"], "aaba", "aabaaac"),
    ("no stop here", ["<|end|>", "here!"], "no stop here", nil),
    ("abc", ["abc", "b"], "a", "b"),
    ("xabc", ["bc", "abc"], "xa", "bc"),
    ("xabc", ["abc", "bc"], "x", "abc"),
    ("Größe 東京🎉 end", ["京🎉"], "Größe 東", "京🎉"),
    ("e\u{301}", ["\u{E9}"], "e\u{301}", nil),
    ("line\n\nUser: hi", ["\nUser:", "\n\nUser:"], "line\n", "\nUser:"),
    ("anything", [], "anything", nil),
    ("anything", [""], "anything", nil),
    ("stop", ["stop"], "", "stop"),
  ]

  @Test(arguments: examples)
  func `A stop string is found however the text is cut in two or three`(
    text: String, stops: [String], before: String, stop: String?
  ) {
    let scalars = Array(text.unicodeScalars)
    func part(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }
    for first in 0...scalars.count {
      for second in first...scalars.count {
        let pieces = [part(0..<first), part(first..<second), part(second..<scalars.count)]
        #expect(run(pieces, stops: stops) == (before, stop))
        #expect(run(pieces, stops: stops, includeInOutput: true) == (before + (stop ?? ""), stop))
      }
    }
  }

  @Test func `Only what may become a stop string is held back`() {
    var matcher = StopStringMatcher(["<|end|>"])
    #expect(matcher.append("Hi <").text == "Hi ")
    #expect(matcher.append("|e").text == "")
    #expect(matcher.append("x<").text == "<|ex")
    #expect(matcher.finish() == "<")
  }

  @Test func `Random texts stop where a search of every prefix finds the first stop string`() {
    var rng = SplitMix64(seed: 3)
    func random(_ counts: ClosedRange<Int>) -> String {
      String((0..<Int.random(in: counts, using: &rng)).map { _ in "ab".randomElement(using: &rng) ?? "a" })
    }
    for _ in 0..<3000 {
      let stops = [random(2...9), random(1...9)]
      let pieces = (0..<4).map { _ in random(0...8) }
      let text = pieces.joined()
      let end = (0...text.count).first { end in stops.contains { text.prefix(end).hasSuffix($0) } }
      let stop = end.flatMap { end in stops.first { text.prefix(end).hasSuffix($0) } }
      let expected = end.map { String(text.prefix($0 - (stop?.count ?? 0))) } ?? text
      #expect(run(pieces, stops: stops) == (expected, stop), "\(pieces) \(stops)")
    }
  }
}
