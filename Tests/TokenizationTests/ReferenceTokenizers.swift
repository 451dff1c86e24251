import Foundation
import ModelFiles
import TestSupport
import Tokenization

/// Tokenizers with SmolLM2's vocabulary, each with the words of another model family.
enum ReferenceTokenizers {
  static let vocabulary = Result { try TokenizerVocabulary(metadata: GGUFFile(path: referenceModelPath()).metadata) }
  static let smolLM = make(.smolLM)
  static let gpt2 = make(.gpt2)
  static let llama3 = make(.llama3)
  static let qwen2 = make(.qwen2)
  static let tekken = make(.tekken)

  static func tokenizer(_ preTokenizer: PreTokenizer) throws -> Tokenizer {
    switch preTokenizer {
    case .smolLM: try smolLM.get()
    case .gpt2: try gpt2.get()
    case .llama3: try llama3.get()
    case .qwen2: try qwen2.get()
    case .tekken: try tekken.get()
    }
  }

  private static func make(_ preTokenizer: PreTokenizer) -> Result<Tokenizer, any Error> {
    Result {
      var vocabulary = try vocabulary.get()
      vocabulary.preTokenizer = preTokenizer
      vocabulary.prefersWholeWords = preTokenizer == .llama3 || preTokenizer == .tekken
      return try Tokenizer(vocabulary)
    }
  }
}

func fixture(_ name: String) throws -> Data {
  try Data(contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)"))
}

/// A token for each byte, its id; then what `merges` make of them, then `special` as control tokens.
func byteVocabulary(merges: [String] = [], special: [String] = [], preTokenizer: PreTokenizer = .gpt2)
  -> TokenizerVocabulary
{
  let bytes = TinyVocabulary.tokens[TinyVocabulary.specials.count...].prefix(256)
  let merged = merges.map { $0.filter { $0 != " " } }
  var vocabulary = TokenizerVocabulary(
    model: .bytePairEncoding, preTokenizer: preTokenizer, tokens: bytes + merged + special)
  vocabulary.merges = merges
  for id in vocabulary.tokens.indices.suffix(special.count) { vocabulary.types[id] = .control }
  return vocabulary
}
