import Foundation
import Testing
import Tokenization

/// `Fixtures/smollm2.json`: SmolLM2's prompts and tokenizer cases, agreed on by Hugging Face's tokenizers and llama.cpp.
@Suite struct GoldenTokenizerTests {
  struct Case: Decodable {
    var text: String
    var ids: [Int32]
    /// Only of the tokenizer cases.
    var idsWithoutParsing: [Int32]?
  }

  private let cases: [Case]
  private let tokenizer: Tokenizer

  init() throws {
    cases = try JSONDecoder().decode([Case].self, from: fixture("smollm2.json"))
    tokenizer = try ReferenceTokenizers.tokenizer(.smolLM)
  }

  @Test func `Every golden text has its ids`() {
    #expect(cases.count == 76)
    for each in cases {
      #expect(tokenizer.encode(each.text, addSpecial: true, parseSpecial: true) == each.ids, "\(each.text)")
      guard let plain = each.idsWithoutParsing else { continue }
      #expect(tokenizer.encode(each.text, addSpecial: true, parseSpecial: false) == plain, "\(each.text)")
    }
  }

  @Test func `Golden ids decode to their text`() {
    for each in cases {
      #expect(Array(tokenizer.decode(each.ids, skipSpecial: false).utf8) == Array(each.text.utf8))
    }
  }

  @Test func `The model file's own settings are read`() throws {
    #expect(tokenizer.vocabularySize == 49_152)
    #expect(tokenizer.bosTokenID == 1)
    #expect(tokenizer.eosTokenID == 2)
    #expect(!tokenizer.addsBOS)
    #expect(tokenizer.endOfGenerationTokenIDs == [0, 2])
    #expect(tokenizer.id(ofSpecial: "<|im_start|>") == 1)
    #expect(tokenizer.id(ofSpecial: "<|im_start|") == nil)
    #expect(tokenizer.isSpecial(16) && !tokenizer.isSpecial(17))
    #expect(tokenizer.isValid(49_151) && !tokenizer.isValid(49_152) && !tokenizer.isValid(-1))
    #expect(tokenizer.text(of: 504) == "The" && tokenizer.bytes(of: 260) == Array(" the".utf8))
    #expect(tokenizer.chatTemplateSource?.hasPrefix("{% for message in messages %}") == true)
  }
}
