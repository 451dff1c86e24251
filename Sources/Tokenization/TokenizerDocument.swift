import ModelFiles

/// A `tokenizer.json`, of which every part that changes ids is either understood or refused by name. Its decoder is not
/// read: it undoes what the normalizer did.
///
/// Source: the serialised form of Hugging Face's tokenizers 0.23 (github.com/huggingface/tokenizers).
struct TokenizerDocument {
  private let json: JSONValue
  private let model: JSONValue

  init(_ json: JSONValue) throws(TokenizerError) {
    self.json = json
    model = json["model"] ?? .null
    guard model["type"]?.string ?? "BPE" == "BPE", model["merges"] != nil else {
      throw .unsupported("the model type \"\(model["type"]?.string ?? "?")\"; BPE is")
    }
    for key in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
      if let value = model[key], value != .string(""), value != .number(0), value != .integer(0) {
        throw .unsupported("the model's \(key)")
      }
    }
  }

  func vocabulary() throws(TokenizerError) -> TokenizerVocabulary {
    let added = try addedTokens()
    let (tokens, known) = try tokens(with: added)
    var vocabulary: TokenizerVocabulary
    if model["byte_fallback"]?.bool == true {
      vocabulary = TokenizerVocabulary(model: .sentencePiece, preTokenizer: .gpt2, tokens: tokens)
      vocabulary.spacePrefix = try spacePrefix()
    } else {
      vocabulary = TokenizerVocabulary(
        model: .bytePairEncoding, preTokenizer: try ByteLevelRules(json).preTokenizer(), tokens: tokens)
    }
    vocabulary.prefersWholeWords = model["ignore_merges"]?.bool ?? false
    guard !(vocabulary.prefersWholeWords && vocabulary.model == .sentencePiece) else {
      throw .unsupported("ignore_merges with byte_fallback")
    }
    vocabulary.types = types(tokens, known: known, added: added, isByteFallback: vocabulary.model == .sentencePiece)
    vocabulary.merges = try merges()
    vocabulary.addedTokens = added
    (vocabulary.bosTokenID, vocabulary.eosTokenID, vocabulary.unknownTokenID) = (nil, nil, nil)
    if let unknown = model["unk_token"]?.string { vocabulary.unknownTokenID = tokens.firstIndex(of: unknown) }
    try addTemplate(to: &vocabulary)
    return vocabulary
  }

  // MARK: Tokens

  private func addedTokens() throws(TokenizerError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    for entry in json["added_tokens"]?.elements ?? [] {
      guard let id = entry["id"]?.integer, let text = entry["content"]?.string, (0..<Self.idLimit).contains(id) else {
        throw .unsupported("an added token without id or content")
      }
      if entry["single_word"]?.bool == true { throw .unsupported("single_word in the added token \"\(text)\"") }
      if entry["normalized"]?.bool == true, normalizerChanges(text) {
        throw .unsupported("normalized in the added token \"\(text)\"")
      }
      tokens.append(
        AddedToken(
          id: Int32(id), text: text, isSpecial: entry["special"]?.bool ?? false,
          stripsLeft: entry["lstrip"]?.bool ?? false, stripsRight: entry["rstrip"]?.bool ?? false))
    }
    return tokens
  }

  /// Whether the token would have to be sought as something else than its text.
  private func normalizerChanges(_ text: String) -> Bool {
    let types = json["normalizer"].steps("normalizers").map { $0["type"]?.string }
    guard text.utf8.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: " ") }) else { return !types.isEmpty }
    return types.contains { $0 != "NFC" && $0 != "Replace" }
  }

  /// No vocabulary comes near.
  private static let idLimit = 1 << 24

  /// - Returns: By id, gaps empty; and whether the model itself knows the token.
  private func tokens(with added: [AddedToken]) throws(TokenizerError) -> ([String], [Bool]) {
    let fields = model["vocab"]?.fields ?? []
    var (tokens, known) = ([String](), [Bool]())
    func put(_ text: String, at id: Int, isKnown: Bool) {
      if id >= tokens.count {
        tokens += Array(repeating: "", count: id + 1 - tokens.count)
        known += Array(repeating: false, count: id + 1 - known.count)
      }
      tokens[id] = text
      if isKnown { known[id] = true }
    }
    for field in fields {
      guard let id = field.value.integer, (0..<Self.idLimit).contains(id) else {
        throw .unsupported("the id of the token \"\(field.key)\"")
      }
      put(field.key, at: id, isKnown: true)
    }
    for token in added { put(token.text, at: Int(token.id), isKnown: false) }
    return (tokens, known)
  }

  private func types(
    _ tokens: [String], known: [Bool], added: [AddedToken], isByteFallback: Bool
  ) -> [TokenizerVocabulary.TokenType] {
    var types = zip(tokens, known).map { text, isKnown -> TokenizerVocabulary.TokenType in
      guard isKnown else { return .unused }
      return isByteFallback && TokenizerVocabulary.byte(named: text) != nil ? .byte : .normal
    }
    for token in added {
      if token.isSpecial { types[Int(token.id)] = .control }
      if types[Int(token.id)] == .unused { types[Int(token.id)] = .userDefined }
    }
    return types
  }

  private func merges() throws(TokenizerError) -> [String] {
    var merges: [String] = []
    for (index, merge) in (model["merges"]?.elements ?? []).enumerated() {
      let text = merge.string ?? (merge.elements ?? []).compactMap(\.string).joined(separator: " ")
      guard !text.isEmpty else { throw .mergeNotInVocabulary(index: index, merge: "?") }
      merges.append(text)
    }
    return merges
  }

  // MARK: Text without words, as SentencePiece has it

  private func spacePrefix() throws(TokenizerError) -> SpacePrefix {
    let normalizers = json["normalizer"].steps("normalizers")
    let preTokenizers = json["pre_tokenizer"].steps("pretokenizers")
    let types = normalizers.map { $0["type"]?.string }
    for step in normalizers {
      switch step["type"]?.string {
      case "Prepend" where step["prepend"]?.string == "▁": continue
      case "Replace" where step["pattern"]?["String"]?.string == " " && step["content"]?.string == "▁": continue
      case let type: throw .unsupported("the normalizer \"\(type ?? "?")\"")
      }
    }
    if types == ["Prepend", "Replace"], preTokenizers.isEmpty { return .always }
    guard preTokenizers.count <= 1, types.isEmpty || types == ["Replace"] else {
      throw .unsupported("this order of normalizers")
    }
    guard let words = preTokenizers.first else { return types.isEmpty ? try noSpaces() : .none }
    switch words["type"]?.string {
    // Every space is a ▁ by then.
    case "Split" where types == ["Replace"] && words["pattern"]?["String"]?.string == " ": return .none
    case "Metaspace" where words["split"]?.bool == false && words["replacement"]?.string ?? "▁" == "▁":
      switch words["prepend_scheme"]?.string {
      case "always"?: return .unlessThere
      case "first"?: return .atStartUnlessThere
      case "never"?: return .none
      case let scheme: throw .unsupported("the prepend_scheme \"\(scheme ?? "?")\"")
      }
    case let type: throw .unsupported("the pre-tokenizer \"\(type ?? "?")\"")
    }
  }

  private func noSpaces() throws(TokenizerError) -> SpacePrefix {
    throw .unsupported("byte_fallback where spaces are not written as ▁")
  }

  // MARK: What stands around a text

  /// BOS and EOS, where the template puts them.
  private func addTemplate(to vocabulary: inout TokenizerVocabulary) throws(TokenizerError) {
    (vocabulary.addsBOS, vocabulary.addsEOS) = (false, false)
    for step in json["post_processor"].steps("processors") where step["type"]?.string != "ByteLevel" {
      guard step["type"]?.string == "TemplateProcessing", let template = step["single"]?.elements else {
        throw .unsupported("the post-processor \"\(step["type"]?.string ?? "?")\"")
      }
      guard let text = template.firstIndex(where: { $0["Sequence"] != nil }) else {
        throw .unsupported("a template without the text")
      }
      let ids = template.map { item in
        item["SpecialToken"]?["id"]?.string.flatMap { step["special_tokens"]?[$0]?["ids"]?.integers?.first }
      }
      guard text <= 1, template.count - text <= 2,
        ids.compactMap({ $0 }).allSatisfy({ vocabulary.tokens.indices.contains($0) })
      else { throw .unsupported("a template of more than BOS, text and EOS") }
      if text == 1, let bos = ids[0] { (vocabulary.bosTokenID, vocabulary.addsBOS) = (bos, true) }
      if template.count - text == 2, let eos = ids[text + 1] {
        (vocabulary.eosTokenID, vocabulary.addsEOS) = (eos, true)
      }
    }
  }
}

extension JSONValue? {
  /// The steps of a `Sequence`, or the one that it is; none for null.
  func steps(_ key: String) -> [JSONValue] {
    guard let self else { return [] }
    return self["type"]?.string == "Sequence" ? self[key]?.elements ?? [] : [self]
  }
}
