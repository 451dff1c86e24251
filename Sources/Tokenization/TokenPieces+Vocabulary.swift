extension TokenizerVocabulary {
  /// The bytes that each token stands for, by id; none for unused and undefined tokens.
  func makePieces() -> TokenPieces {
    var pieces = TokenPieces()
    for (text, type) in zip(tokens, types) {
      switch type {
      case .control, .unknown, .userDefined: pieces.append(text.utf8)
      case .unused, .undefined: pieces.append([])
      case .byte: pieces.append(Self.byte(named: text).map { [$0] } ?? Array(text.utf8))
      case .normal where model == .bytePairEncoding:
        pieces.append(ByteLevelAlphabet.bytes(of: text[...].unicodeScalars))
      case .normal:
        var text = text
        pieces.append(text.withUTF8(SentencePieceSpace.unescape))
      }
    }
    return pieces
  }

  /// - Parameter text: `<0x0A>`
  static func byte(named text: String) -> UInt8? {
    guard text.hasPrefix("<0x"), text.hasSuffix(">"), text.utf8.count == 6 else { return nil }
    return UInt8(text.dropFirst(3).dropLast(), radix: 16)
  }
}
