import ModelFiles

/// What a model file says of its tokenizer: a plain value, not yet checked for consistency.
package struct TokenizerVocabulary: Sendable {
  package enum Model: String, CaseIterable, Sendable {
    case bytePairEncoding = "gpt2"
    case sentencePiece = "llama"
  }

  /// GGUF's numbers for `tokenizer.ggml.token_type`.
  package enum TokenType: Int, Sendable {
    case undefined = 0
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  package var model: Model
  package var preTokenizer: PreTokenizer
  /// By id. Byte-level BPE writes bytes in GPT-2's alphabet, SentencePiece a space as `▁`.
  package var tokens: [String]
  /// One for each token.
  package var types: [TokenType]
  /// SentencePiece without merges: one for each token; the highest merges first.
  package var scores: [Float] = []
  /// `"left right"`, the first merges first.
  package var merges: [String] = []
  /// Byte-level BPE: a word that is a token is that token, even if no sequence of merges leads to it (`ignore_merges`).
  package var prefersWholeWords: Bool
  /// nil: `addedTokensByType`.
  package var addedTokens: [AddedToken]?
  package var bosTokenID: Int?
  package var eosTokenID: Int?
  package var unknownTokenID: Int?
  /// Ends a turn, ends a message: they end a generation as EOS does.
  package var endOfTurnTokenIDs: [Int] = []
  package var addsBOS: Bool
  package var addsEOS = false
  package var spacePrefix: SpacePrefix
  package var chatTemplate: String?

  /// Every token normal, and what else the model file leaves out by its kind's default.
  package init(model: Model, preTokenizer: PreTokenizer, tokens: [String]) {
    self.model = model
    self.preTokenizer = preTokenizer
    self.tokens = tokens
    self.types = Array(repeating: .normal, count: tokens.count)
    self.addsBOS = model == .sentencePiece || preTokenizer.isOfTiktoken
    self.spacePrefix = model == .sentencePiece ? .always : .none
    self.prefersWholeWords = preTokenizer.isOfTiktoken
    if model == .sentencePiece, tokens.count > 2 { (unknownTokenID, bosTokenID, eosTokenID) = (0, 1, 2) }
  }

  /// Whether a token stands for no text.
  func isControl(_ id: Int32) -> Bool { [.control, .unknown].contains(types[Int(id)]) }

  /// Reads the `tokenizer.*` keys. A file without `tokenizer.ggml.pre` is taken for `default`.
  package init(metadata: GGUFMetadata) throws(TokenizerError) {
    guard let modelName = metadata.string("tokenizer.ggml.model") else {
      throw .missingKey("tokenizer.ggml.model")
    }
    guard let model = Model(rawValue: modelName) else { throw .unknownModel(modelName) }
    guard let tokens = metadata.strings("tokenizer.ggml.tokens") else { throw .missingKey("tokenizer.ggml.tokens") }
    var preTokenizer = PreTokenizer.gpt2
    if model == .bytePairEncoding {
      preTokenizer = try PreTokenizer(named: metadata.string("tokenizer.ggml.pre") ?? "default")
    }

    self.init(model: model, preTokenizer: preTokenizer, tokens: tokens)
    if let types = metadata.integers("tokenizer.ggml.token_type") {
      self.types = types.map { TokenType(rawValue: $0) ?? .undefined }
    }
    switch model {
    case .bytePairEncoding:
      guard let merges = metadata.strings("tokenizer.ggml.merges") else { throw .missingKey("tokenizer.ggml.merges") }
      self.merges = merges
    case .sentencePiece:
      guard let scores = metadata.floats("tokenizer.ggml.scores") else { throw .missingKey("tokenizer.ggml.scores") }
      self.scores = scores
    }
    bosTokenID = try metadata.tokenID("tokenizer.ggml.bos_token_id", of: tokens) ?? bosTokenID
    eosTokenID = try metadata.tokenID("tokenizer.ggml.eos_token_id", of: tokens) ?? eosTokenID
    unknownTokenID = try metadata.tokenID("tokenizer.ggml.unknown_token_id", of: tokens) ?? unknownTokenID
    for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
      if let id = try metadata.tokenID(key, of: tokens) { endOfTurnTokenIDs.append(id) }
    }
    addsBOS = metadata.bool("tokenizer.ggml.add_bos_token") ?? addsBOS
    addsEOS = metadata.bool("tokenizer.ggml.add_eos_token") ?? addsEOS
    if metadata.bool("tokenizer.ggml.add_space_prefix") == false { spacePrefix = .none }
    if model == .sentencePiece, metadata.string("general.architecture") == "phi3" {
      addedTokens = addedTokensByType.map(\.asInPhi3)
    }
    chatTemplate = metadata.string("tokenizer.chat_template")
  }
}

extension GGUFMetadata {
  fileprivate func tokenID(_ key: String, of tokens: [String]) throws(TokenizerError) -> Int? {
    guard let id = integer(key) else { return nil }
    guard tokens.indices.contains(id) else {
      throw .tokenIDOutOfRange(key: key, id: id, vocabularySize: tokens.count)
    }
    return id
  }
}
