import Grammars
import ServingAPI
import Tokenization

/// The model as clients see it: its names, its text side and its limits.
struct ServedModel: Sendable {
  /// The first is the one that responses and metrics bear.
  var names: [String]
  /// The model file.
  var path: String
  var tokenizer: Tokenizer
  /// nil if the model file has none.
  var template: ChatTemplate?
  /// For outputs that must follow one.
  var grammars: GrammarCompiler
  /// How the model writes calls of tools that it may make; nil: this worker does not look for them.
  var toolCallFormat: ToolCallFormat?
  /// What sampling a request gets that says nothing of it.
  var samplingDefaults: SamplingDefaults
  /// Prompt and output together, in tokens.
  var maxModelLength: Int
  /// Tokens that the tokenizer knows and the model has output rows for.
  var vocabularySize: Int
  /// Bytes of the longest token.
  var longestToken: Int
  /// Unix seconds.
  var created: Int
  var systemFingerprint: String

  var cards: [ModelCard] {
    names.map { ModelCard(id: $0, created: created, root: path, maxModelLength: maxModelLength) }
  }

  /// Output tokens that a request may still get.
  /// - Parameter earlierOutput: Of the prompt's tokens, those that are output.
  func room(after prompt: [Int32], earlierOutput: Int = 0) -> Int {
    let limit = samplingDefaults.maxTokens.map { max(1, $0 - earlierOutput) }
    return min(maxModelLength - prompt.count, limit ?? .max)
  }

  func check(name: String?) throws(APIError) {
    if let name, !name.isEmpty, !names.contains(name) { throw .unknownModel(name, served: names) }
  }

  /// The header of a response that begins now.
  func head(id: String, model: String?, now: Int) -> ResponseHead {
    let name = model.flatMap { $0.isEmpty ? nil : $0 } ?? names[0]
    return ResponseHead(id: id, created: now, model: name, systemFingerprint: systemFingerprint)
  }
}
