/// A token that stands in a text as it is, such as `<|im_start|>`.
package struct AddedToken: Sendable, Equatable {
  package var id: Int32
  package var text: String
  /// Found only where special tokens are parsed.
  package var isSpecial: Bool
  /// White space beside it belongs to it.
  package var stripsLeft = false
  package var stripsRight = false

  /// What Phi 3's tokenizer.json says of its tokens, and a GGUF file has no place for.
  ///
  /// Source: llama-vocab.cpp (github.com/ggml-org/llama.cpp).
  var asInPhi3: AddedToken {
    var token = self
    token.stripsRight = !["<unk>", "<s>", "<|endoftext|>"].contains(text)
    return token
  }
}

extension TokenizerVocabulary {
  /// The user defined, control and unknown tokens.
  var addedTokensByType: [AddedToken] {
    zip(tokens, types).enumerated().compactMap { id, token in
      switch token.1 {
      case .userDefined: AddedToken(id: Int32(id), text: token.0, isSpecial: false)
      case .control, .unknown: AddedToken(id: Int32(id), text: token.0, isSpecial: true)
      case .normal, .byte, .unused, .undefined: nil
      }
    }
  }
}

/// Whether text is encoded as though a space stood before it.
package enum SpacePrefix: Sendable {
  case none
  /// Every text between special tokens.
  case always
  /// As `always`, unless the text begins with a space.
  case unlessThere
  /// As `unlessThere`, at the beginning of everything only.
  case atStartUnlessThere
}
