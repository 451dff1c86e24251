import ModelFiles

extension Tokenizer {
  /// The tokenizer of a GGUF file, or of a Hugging Face folder.
  package convenience init(file: any ModelFile) throws {
    let vocabulary =
      if let folder = file as? HuggingFaceFolder { try TokenizerVocabulary(folder: folder) } else {
        try TokenizerVocabulary(metadata: file.metadata)
      }
    try self.init(vocabulary)
  }
}

extension TokenizerVocabulary {
  /// Reads tokenizer.json; of tokenizer_config.json BOS, EOS and the chat template (which may have a file of its own);
  /// and what else ends a generation of generation_config.json and config.json.
  init(folder: HuggingFaceFolder) throws {
    guard let document = try folder.json("tokenizer.json") else { throw TokenizerError.missingFile(folder.path) }
    self = try TokenizerDocument(document).vocabulary()
    // The model may have rows for more tokens than there are: probabilities are over all of them.
    let unused = min(try folder.json("config.json")?["vocab_size"]?.integer ?? 0, 1 << 24) - tokens.count
    if unused > 0 {
      tokens += Array(repeating: "", count: unused)
      types += Array(repeating: .unused, count: unused)
    }
    let settings = try folder.json("tokenizer_config.json")
    bosTokenID = bosTokenID ?? id(of: settings?["bos_token"])
    let ends = try ["generation_config.json", "config.json"].flatMap { name in
      let field = try folder.json(name)?["eos_token_id"]
      return field?.integers ?? [field?.integer].compactMap { $0 }
    }.filter(tokens.indices.contains)
    eosTokenID = eosTokenID ?? id(of: settings?["eos_token"]) ?? ends.first
    endOfTurnTokenIDs = ends
    chatTemplate = try folder.text("chat_template.jinja") ?? Self.template(settings?["chat_template"])
  }

  /// - Parameter token: Its text, or an object with it.
  private func id(of token: JSONValue?) -> Int? {
    guard let text = token?.string ?? token?["content"]?.string else { return nil }
    return addedTokens?.first { $0.text == text }.map { Int($0.id) }
  }

  /// - Parameter templates: The only one, or several with names.
  private static func template(_ templates: JSONValue?) -> String? {
    templates?.string
      ?? templates?.elements?.first { $0["name"]?.string == "default" }?["template"]?.string
  }
}
