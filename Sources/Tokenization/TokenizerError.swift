/// Why a model file's tokenizer cannot be used. Found at load; a tokenizer that was built encodes and decodes anything.
package enum TokenizerError: Error, Equatable {
  case missingKey(String)
  /// The folder has no tokenizer.json.
  case missingFile(String)
  /// What a tokenizer.json asks for and we have not, in words.
  case unsupported(String)
  case emptyVocabulary
  case unknownModel(String)
  case unknownPreTokenizer(String)
  case countMismatch(key: String, count: Int, tokens: Int)
  case tokenIDOutOfRange(key: String, id: Int, vocabularySize: Int)
  /// `merge` does not join two tokens of the vocabulary into a third.
  case mergeNotInVocabulary(index: Int, merge: String)
}

extension TokenizerError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .missingKey(let key):
      "The model file has no valid \(key). Convert the model again, with its tokenizer."
    case .missingFile(let folder):
      "\(folder) has no tokenizer.json. Save it there with transformers' AutoTokenizer(…, use_fast=True).save_pretrained."
    case .unsupported(let feature):
      "The tokenizer.json asks for what xpyd does not have: \(feature). Use a model with a BPE tokenizer of a family that runs."
    case .emptyVocabulary:
      "The model file's vocabulary (tokenizer.ggml.tokens) is empty. Convert the model again, with its tokenizer."
    case .unknownModel(let model):
      "The tokenizer model \"\(model)\" is not supported. Use a model with one of: "
        + TokenizerVocabulary.Model.allCases.map(\.rawValue).joined(separator: ", ") + "."
    case .unknownPreTokenizer(let name):
      "The pre-tokenizer \"\(name)\" is not supported, and guessing would split words wrongly. Use a model with one of: "
        + PreTokenizer.names.joined(separator: ", ") + "."
    case .countMismatch(let key, let count, let tokens):
      "\(key) has \(count) elements for \(tokens) tokens. The file is damaged: fetch it again."
    case .tokenIDOutOfRange(let key, let id, let vocabularySize):
      "\(key) is \(id), but the vocabulary has \(vocabularySize) tokens. The file is damaged: fetch it again."
    case .mergeNotInVocabulary(let index, let merge):
      "Merge \(index) (\"\(merge)\") does not join two tokens of the vocabulary. The file is damaged: fetch it again."
    }
  }
}
