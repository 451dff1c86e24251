import ModelFiles
import TestSupport
import Testing
import Tokenization

@Suite struct TokenizerErrorTests {
  /// A good byte-level file's metadata after `spoil`, which may replace or drop any of its keys.
  private func error(_ spoil: (inout [String: GGUFWriter.Value]) -> Void) throws -> TokenizerError? {
    var values: [String: GGUFWriter.Value] = [
      "tokenizer.ggml.model": .string("gpt2"), "tokenizer.ggml.pre": .string("gpt-2"),
      "tokenizer.ggml.tokens": .strings(["a", "b", "ab"]), "tokenizer.ggml.merges": .strings(["a b"]),
      "tokenizer.ggml.token_type": .array([.int32(1), .int32(1), .int32(1)]),
    ]
    spoil(&values)
    var writer = GGUFWriter()
    for (key, value) in values.sorted(by: { $0.key < $1.key }) { writer.add(key, value) }
    let file = TemporaryFile(writer.bytes())
    do {
      _ = try Tokenizer(metadata: GGUFFile(path: file.path).metadata)
      return nil
    } catch { return error as? TokenizerError }
  }

  @Test func `A good file has a tokenizer`() throws {
    #expect(try error { _ in } == nil)
  }

  @Test(arguments: ["model", "tokens", "merges"])
  func `A key that is missing or of another kind is named`(_ key: String) throws {
    let name = "tokenizer.ggml.\(key)"
    #expect(try error { $0[name] = nil } == .missingKey(name))
    #expect(try error { $0[name] = .uint32(1) } == .missingKey(name))
  }

  @Test func `What the file contradicts is an error with its values`() throws {
    #expect(try error { $0["tokenizer.ggml.model"] = .string("bert") } == .unknownModel("bert"))
    #expect(try error { $0["tokenizer.ggml.pre"] = .string("gpt-4o") } == .unknownPreTokenizer("gpt-4o"))
    #expect(try error { $0["tokenizer.ggml.model"] = .string("llama") } == .missingKey("tokenizer.ggml.scores"))
    #expect(try error { $0["tokenizer.ggml.tokens"] = .strings([]) } != nil)
    #expect(
      try error { $0["tokenizer.ggml.token_type"] = .array([.int32(1)]) }
        == .countMismatch(key: "tokenizer.ggml.token_type", count: 1, tokens: 3))
    #expect(
      try error { $0["tokenizer.ggml.eos_token_id"] = .uint32(3) }
        == .tokenIDOutOfRange(key: "tokenizer.ggml.eos_token_id", id: 3, vocabularySize: 3))
    for merge in ["a c", "ab", "a  b", "b a", ""] {
      #expect(
        try error { $0["tokenizer.ggml.merges"] = .strings(["a b", merge]) }
          == .mergeNotInVocabulary(index: 1, merge: merge))
    }
  }
}
