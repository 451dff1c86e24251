import Testing
import Tokenization

@Suite struct PreTokenizerTests {
  /// Words by hand, one example for each turn of the rules; `ByteLevelReferenceTests` has the many.
  static let examples: [(PreTokenizer, String, [String])] = [
    (.gpt2, "I'll pay 1000  now", ["I", "'ll", " pay", " 1000", " ", " now"]),
    (.gpt2, "DON'T", ["DON", "'", "T"]),
    (.gpt2, "a\n\n b", ["a", "\n\n", " b"]),
    (.smolLM, "in 2024", ["in", " ", "2", "0", "2", "4"]),
    (.smolLM, "x  7", ["x", "  ", "7"]),
    (.llama3, "I'LL pay 12345", ["I", "'LL", " pay", " ", "123", "45"]),
    (.llama3, "(hello)\n\n  x", ["(hello", ")\n\n", " ", " x"]),
    (.llama3, "it'ſ", ["it", "'ſ"]),
    (.llama3, " \n \n  x", [" \n \n", " ", " x"]),
    (.qwen2, "v1.23", ["v", "1", ".", "2", "3"]),
    (.tekken, "myHTTPServer12 NASA", ["my", "HTTPServer", "1", "2", " NASA"]),
    (.tekken, "ÉTÉ日本X e\u{301}T", ["ÉTÉ日本", "X", " e\u{301}", "T"]),
    (.tekken, "a://b\n\n  x", ["a", "://", "b", "\n\n", " ", " x"]),
  ]

  @Test(arguments: examples)
  func `Words end where the model family ends them`(preTokenizer: PreTokenizer, text: String, words: [String]) {
    #expect(wordByteCounts(of: text, preTokenizer) == words.map(\.utf8.count))
    #expect(words.joined() == text)
  }

  @Test func `An unknown pre-tokenizer is an error that names it and the known ones`() {
    let error = #expect(throws: TokenizerError.unknownPreTokenizer("gpt-4o")) { try PreTokenizer(named: "gpt-4o") }
    for word in ["gpt-4o", "tekken", "default", "gpt-2", "smollm", "llama-bpe", "qwen2"] {
      #expect(error?.description.contains("\(word)") == true)
    }
  }

  @Test func `Qwen 2 encodes normal form C, the others the text as it is`() throws {
    let composed = "\u{E9} \u{1EAD}"
    let decomposed = "e\u{301} a\u{323}\u{302}"
    for (preTokenizer, areEqual) in [(PreTokenizer.qwen2, true), (.llama3, false)] {
      let tokenizer = try Tokenizer(byteVocabulary(preTokenizer: preTokenizer))
      let ids = [composed, decomposed].map { tokenizer.encode($0, addSpecial: false, parseSpecial: false) }
      #expect((ids[0] == ids[1]) == areEqual)
    }
  }

  @Test func `In normal form C marks of one class keep their order`() throws {
    let tokenizer = try Tokenizer(byteVocabulary(preTokenizer: .qwen2))
    let text = "\u{F44}\u{F71}\u{F7B}\u{F72}"
    let ids = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
    #expect(Array(tokenizer.decode(ids, skipSpecial: false).unicodeScalars) == Array(text.unicodeScalars))
  }

  @Test func `Llama 3 takes a word that is a token whole, though no merge leads to it`() throws {
    for (preTokenizer, expected) in [(PreTokenizer.llama3, [256]), (.gpt2, [97, 98, 99])] as [(_, [Int32])] {
      var vocabulary = byteVocabulary(preTokenizer: preTokenizer)
      vocabulary.tokens.append("abc")
      vocabulary.types.append(.normal)
      #expect(try Tokenizer(vocabulary).encode("abc", addSpecial: false, parseSpecial: false) == expected)
    }
  }
}
