/// Turns tokens into text one by one, and gives out whole characters only.
///
/// The pieces, one after the other, are what `Tokenizer.decode` makes of all tokens together. Bytes that can become
/// part of a character are held back (three at most); bytes that cannot any more come out as U+FFFD.
package struct StreamingDetokenizer: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecial: Bool
  /// The next byte is the text's first, and is dropped if it is the space that encoding put there.
  private var dropsSpace: Bool
  private var pending: [UInt8] = []

  /// - Parameter continuesText: Text stands before the first token, as a prompt does before its completion: a
  ///   SentencePiece token's leading space then is a space, and not the mark of the text's beginning.
  package init(_ tokenizer: Tokenizer, skipSpecial: Bool = true, continuesText: Bool = true) {
    self.tokenizer = tokenizer
    skipsSpecial = skipSpecial
    dropsSpace = tokenizer.addsSpacePrefix && !continuesText
  }

  /// - Parameter id: A valid one.
  /// - Returns: The text that is complete now; often empty in the middle of a character.
  package mutating func append(_ id: Int32) -> String {
    hold(id)
    return take(pending.count - UTF8Sequence.incompleteSuffixCount(pending))
  }

  /// What is held back, which nothing can complete now. The value must not be used afterwards.
  package mutating func finish() -> String { take(pending.count) }

  /// Takes a token in without giving anything out.
  mutating func hold(_ id: Int32) {
    guard !(skipsSpecial && tokenizer.isSpecial(id)) else { return }
    var piece = tokenizer.piece(of: id)
    if dropsSpace, let first = piece.first {
      if first == UInt8(ascii: " ") { piece = piece.dropFirst() }
      dropsSpace = false
    }
    pending += piece
  }

  private mutating func take(_ count: Int) -> String {
    let text = String(decoding: pending[..<count], as: UTF8.self)
    pending.removeFirst(count)
    return text
  }
}
