import Foundation
import ModelFiles
import TestSupport
import Testing
import Tokenization

/// `Fixtures/sentencepiece.json`: a model of 1,000 tokens and what the `sentencepiece` library makes of some texts.
@Suite struct SentencePieceTests {
  struct Fixture: Decodable {
    struct Case: Decodable {
      var text: String
      var ids: [Int32]
      var decoded: String
    }

    var tokens: [String]
    var scores: [Float]
    var types: [Int]
    var cases: [Case]

    var vocabulary: TokenizerVocabulary {
      var vocabulary = TokenizerVocabulary(model: .sentencePiece, preTokenizer: .gpt2, tokens: tokens)
      vocabulary.scores = scores
      vocabulary.types = types.compactMap(TokenizerVocabulary.TokenType.init)
      return vocabulary
    }
  }

  private let fixture: Fixture

  init() throws {
    fixture = try JSONDecoder().decode(Fixture.self, from: TokenizationTests.fixture("sentencepiece.json"))
  }

  @Test func `Ids and text are those of the library`() throws {
    let tokenizer = try Tokenizer(fixture.vocabulary)
    #expect(fixture.cases.count > 280)
    for each in fixture.cases {
      let ids = tokenizer.encode(each.text, addSpecial: false, parseSpecial: false)
      #expect(ids == each.ids, "\(each.text.debugDescription)")
      #expect(Array(tokenizer.decode(ids, skipSpecial: true).utf8) == Array(each.decoded.utf8))
    }
  }

  @Test func `A special token in the text begins the text anew`() throws {
    let tokenizer = try Tokenizer(fixture.vocabulary)
    let hello = tokenizer.encode("return", addSpecial: false, parseSpecial: false)
    #expect(tokenizer.encode("return", addSpecial: true, parseSpecial: false) == [1] + hello)
    #expect(tokenizer.encode("return</s>return", addSpecial: false, parseSpecial: true) == hello + [2] + hello)
    #expect(!tokenizer.encode("return</s>return", addSpecial: false, parseSpecial: false).contains(2))
  }

  @Test(arguments: ["llama", "phi3"])
  func `Phi 3's special tokens take the white space behind them, in GGUF too`(architecture: String) throws {
    var writer = GGUFWriter()
    writer.add("general.architecture", .string(architecture))
    writer.add("tokenizer.ggml.model", .string("llama"))
    writer.add("tokenizer.ggml.tokens", .strings(fixture.tokens))
    writer.add("tokenizer.ggml.scores", .array(fixture.scores.map { .float32($0) }))
    writer.add("tokenizer.ggml.token_type", .array(fixture.types.map { .int32(Int32($0)) }))
    let file = TemporaryFile(writer.bytes())
    let tokenizer = try Tokenizer(file: GGUFFile(path: file.path))
    func ids(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecial: false, parseSpecial: true) }
    #expect((ids("</s>\n return") == ids("</s>return")) == (architecture == "phi3"))
    #expect(ids("<s>\nreturn") != ids("<s>return"))
  }

  @Test func `The mark of a text's beginning is a space where text stands before it`() throws {
    let tokenizer = try Tokenizer(fixture.vocabulary)
    let ids = tokenizer.encode("return", addSpecial: true, parseSpecial: false)
    #expect(tokenizer.decode(ids, skipSpecial: true) == "return")
    #expect(tokenizer.decode(ids, skipSpecial: true, continuesText: true) == " return")
    #expect(tokenizer.decode(ids, skipSpecial: false) == "<s> return")
  }

  @Test func `Without the prefix no space is put in or taken away`() throws {
    var vocabulary = fixture.vocabulary
    vocabulary.spacePrefix = .none
    let tokenizer = try Tokenizer(vocabulary)
    for text in ["return", " return", "  return"] {
      let ids = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      #expect(tokenizer.decode(ids, skipSpecial: true) == text)
    }
  }

  @Test func `A character without any token is the unknown token`() throws {
    var vocabulary = TokenizerVocabulary(
      model: .sentencePiece, preTokenizer: .gpt2, tokens: ["<unk>", "<s>", "a", "▁"])
    vocabulary.types = [.unknown, .control, .normal, .normal]
    vocabulary.scores = [0, 0, -1, -2]
    vocabulary.eosTokenID = nil
    let tokenizer = try Tokenizer(vocabulary)
    #expect(tokenizer.encode("aéa", addSpecial: true, parseSpecial: false) == [1, 3, 2, 0, 2])
  }

  @Test(.timeLimit(.minutes(5)), arguments: ["a", " ", "é", "\u{10FFFF}"])
  func `A megabyte without a break is encoded and comes back`(_ unit: String) throws {
    let tokenizer = try Tokenizer(fixture.vocabulary)
    let text = String(repeating: unit, count: (1 << 20) / unit.utf8.count)
    let ids = tokenizer.encode(text, addSpecial: false, parseSpecial: true)
    #expect(tokenizer.decode(ids, skipSpecial: true) == text)
  }
}
