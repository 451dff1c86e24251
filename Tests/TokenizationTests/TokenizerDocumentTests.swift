import Foundation
import ModelFiles
import TestSupport
import Testing
import Tokenization

/// `Fixtures/documents`: `tokenizer.json` files as model families have them, and what Hugging Face's tokenizers makes of
/// 10,000 lines of many scripts with each (`Fixtures/make_documents.py`).
@Suite struct TokenizerDocumentTests {
  static let names = ["gpt2", "llama3", "qwen2", "tekken", "llama2", "phi3", "mistral", "metaspace-always", "gemma"]

  struct Record: Decodable {
    struct Case: Decodable {
      var text: String
      var ids: [Int32]
      var decoded: String
    }

    /// Hashes of the ids of ten lines each.
    var lines: String
    var cases: [Case]
  }

  @Test(arguments: names)
  func `Ids of 10,000 lines are those of the reference`(name: String) throws {
    let record = try JSONDecoder().decode(Record.self, from: fixture("documents/\(name).json"))
    let tokenizer = try Self.tokenizer(name)
    let texts = try ByteLevelReferenceTests.lines.get().map(\.text)
    let lines = (0..<10_000).map { texts[$0 * 7 % texts.count] + texts[($0 * 13 + 5 + $0 / texts.count) % texts.count] }
    let expected = record.lines.split(separator: " ")
    #expect(expected.count == 1000)
    for (group, hash) in expected.enumerated() {
      let ids = lines[group * 10..<group * 10 + 10].flatMap {
        tokenizer.encode($0, addSpecial: true, parseSpecial: true)
      }
      #expect(TokenizationTests.hash(ids.map(Int.init)) == hash, "lines from \(group * 10)")
    }
  }

  @Test(arguments: names)
  func `Short texts have the reference's ids, and decode as it says`(name: String) throws {
    let record = try JSONDecoder().decode(Record.self, from: fixture("documents/\(name).json"))
    let tokenizer = try Self.tokenizer(name)
    for each in record.cases {
      #expect(tokenizer.encode(each.text, addSpecial: false, parseSpecial: true) == each.ids, "\(each.text)")
      #expect(Array(tokenizer.decode(each.ids, skipSpecial: false).utf8) == Array(each.decoded.utf8), "\(each.text)")
    }
  }

  @Test(arguments: [
    (#""type":"BPE""#, #""type":"Unigram""#, "Unigram"),
    (#""type":"ByteLevel","add_prefix_space":false"#, #""type":"ByteLevel","add_prefix_space":true"#, "ByteLevel"),
    (#""type":"ByteLevel","add_prefix_space":false"#, #""type":"Whitespace","add_prefix_space":false"#, "ByteLevel"),
    (#""normalizer":null"#, #""normalizer":{"type":"Lowercase"}"#, "Lowercase"),
    (#""single_word":false"#, #""single_word":true"#, "single_word"),
    (#""dropout":null"#, #""dropout":0.5"#, "dropout"),
  ])
  func `What is not understood is refused by name`(text: String, replacement: String, named: String) throws {
    let original = try Self.document("gpt2")
    let changed = original.replacingOccurrences(of: text, with: replacement)
    try #require(changed != original)
    let error = #expect(throws: TokenizerError.self) { try Self.tokenizer(document: changed) }
    #expect(error.map { "\($0)" }?.contains(named) == true)
  }

  @Test func `A token that is sought in normalised text is refused where that is another text`() throws {
    let original = try Self.document("llama2")
    let changed = original.replacingOccurrences(of: #""normalized":false"#, with: #""normalized":true"#)
    let error = #expect(throws: TokenizerError.self) { try Self.tokenizer(document: changed) }
    #expect(error.map { "\($0)" }?.contains("normalized") == true)
  }

  @Test(arguments: names)
  func `No merge makes a control token of text`(name: String) throws {
    let tokenizer = try Self.tokenizer(name)
    for text in ["<s>", "<|im_start|>", "x</s>y<|endoftext|><|im_end|>"] {
      let ids = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      #expect(!ids.contains(where: tokenizer.isSpecial) && tokenizer.decode(ids, skipSpecial: true) == text)
    }
  }

  @Test func `A folder without a tokenizer says so`() throws {
    let folder = try TemporaryFolder(modelFiles)
    let error = #expect(throws: TokenizerError.self) { try Tokenizer(file: openModel(path: folder.path)) }
    #expect(error == .missingFile(folder.path))
  }

  /// The `tokenizer.json` alone.
  private static func document(_ name: String) throws -> String {
    let record = String(decoding: try fixture("documents/\(name).json"), as: UTF8.self)
    let (start, end) = (record.range(of: #"{"tokenizer":"#)!, record.range(of: #","lines":""#, options: .backwards)!)
    return String(record[start.upperBound..<end.lowerBound])
  }

  private static func tokenizer(_ name: String) throws -> Tokenizer { try tokenizer(document: document(name)) }

  private static func tokenizer(document: String) throws -> Tokenizer {
    let folder = try TemporaryFolder(modelFiles.merging(["tokenizer.json": Array(document.utf8)]) { $1 })
    return try Tokenizer(file: openModel(path: folder.path))
  }
}

/// A model without a tokenizer, and without a tensor.
private let modelFiles: [String: [UInt8]] = [
  "config.json": Array(
    """
    {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32,
     "max_position_embeddings": 64, "num_attention_heads": 2, "rms_norm_eps": 1e-5}
    """.utf8),
  "model.safetensors": TemporaryFolder.safetensors("{}"),
]
