import Testing
import Tokenization

@Suite struct SpecialTokenTests {
  private let special = ["<a>", "<a><b>", "<b>", "b>c"]
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try Tokenizer(byteVocabulary(special: special))
  }

  static let examples: [(String, [Int32])] = [
    ("<a>", [256]), ("<a><b>", [257]), ("<a><a><b>", [256, 257]), ("<b>c", [258, 99]), ("<<a>", [60, 256]),
    ("<a", [60, 97]), ("<a><", [256, 60]), ("xb>c", [120, 259]), ("", []),
  ]

  @Test(arguments: examples)
  func `The leftmost special token is taken, and the longest there`(text: String, ids: [Int32]) {
    #expect(tokenizer.encode(text, addSpecial: false, parseSpecial: true) == ids)
  }

  @Test func `Unparsed, special tokens are text, but user defined ones are tokens`() throws {
    var vocabulary = byteVocabulary(special: special)
    vocabulary.types[256] = .userDefined
    let tokenizer = try Tokenizer(vocabulary)
    let ids = tokenizer.encode("<b><a>", addSpecial: false, parseSpecial: false)
    #expect(ids.map(tokenizer.text(of:)) == ["<", "b", ">", "<a>"])
    #expect(tokenizer.decode(ids, skipSpecial: true) == "<b><a>")
  }

  @Test func `Skipped special tokens leave nothing behind`() {
    let ids = tokenizer.encode("x<a>y<b>", addSpecial: false, parseSpecial: true)
    #expect(tokenizer.decode(ids, skipSpecial: true) == "xy")
    #expect(tokenizer.decode(ids, skipSpecial: false) == "x<a>y<b>")
  }

  @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
  func `BOS and EOS are added where the model wants them`(bos: Bool, eos: Bool) throws {
    var vocabulary = byteVocabulary(special: ["<s>", "</s>"])
    (vocabulary.bosTokenID, vocabulary.eosTokenID) = (256, 257)
    (vocabulary.addsBOS, vocabulary.addsEOS) = (bos, eos)
    let tokenizer = try Tokenizer(vocabulary)
    let plain = tokenizer.encode("x", addSpecial: false, parseSpecial: true)
    let expected = (bos ? [256] : []) + plain + (eos ? [257] : [])
    #expect(tokenizer.encode("x", addSpecial: true, parseSpecial: true) == expected)
    #expect(tokenizer.addsBOS == bos)
  }

  @Test func `A generation ends at EOS, at what the file names, and at well-known special tokens`() throws {
    var vocabulary = byteVocabulary(
      merges: ["< e", "<e >"], special: ["</s>", "<|eot_id|>", "<|im_end|>", "<|tool|>", "<|im_start|>"])
    let first = vocabulary.tokens.count - 5
    vocabulary.eosTokenID = first
    vocabulary.endOfTurnTokenIDs = [first + 3]
    #expect(try Tokenizer(vocabulary).endOfGenerationTokenIDs == Set((first...first + 3).map(Int32.init)))
  }

  @Test func `What ends a generation is skipped as special, whatever its type`() throws {
    var vocabulary = byteVocabulary(special: ["<|im_end|>", "</s>"])
    vocabulary.types[256] = .userDefined
    vocabulary.types[257] = .normal
    vocabulary.eosTokenID = 257
    #expect(try Tokenizer(vocabulary).decode([97, 256, 257], skipSpecial: true) == "a")
  }

  @Test func `An ordinary token that looks like an end of turn does not end a generation`() throws {
    var vocabulary = byteVocabulary(special: ["<EOT>"])
    vocabulary.types[256] = .normal
    #expect(try Tokenizer(vocabulary).endOfGenerationTokenIDs.isEmpty)
  }
}
