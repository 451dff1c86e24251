/// The bytes of a model's tokens, in the order in which a walk through them looks at each shared beginning once.
package final class GrammarVocabulary: Sendable {
  /// By id; empty for tokens that are no text.
  private let pieces: [[UInt8]]
  /// Ids with text, sorted by it.
  private let sorted: [Int32]
  /// Of each in `sorted`, how many bytes it begins with that the one before does too.
  private let shared: [Int]

  /// The work of one walk, in items of states that it comes to: beyond it, only tokens of one byte are looked at. Any
  /// text can still be made of those.
  private static let maximumWork = 1 << 20

  /// Sorts the vocabulary: a fraction of a second, so not for the cooperative pool.
  /// - Parameter pieces: By id; empty for tokens that no grammar may choose, as control tokens are.
  package init(pieces: [[UInt8]]) {
    self.pieces = pieces
    let sorted = pieces.indices.filter { !pieces[$0].isEmpty }
      .sorted { pieces[$0].lexicographicallyPrecedes(pieces[$1]) }
    var shared: [Int] = []
    for (index, id) in sorted.enumerated() {
      let before = index == 0 ? [] : pieces[sorted[index - 1]]
      shared.append(zip(pieces[id], before).prefix { $0 == $1 }.count)
    }
    self.sorted = sorted.map { Int32($0) }
    self.shared = shared
  }

  /// nil for a token without text.
  func bytes(of token: Int32) -> [UInt8]? {
    guard pieces.indices.contains(Int(token)), !pieces[Int(token)].isEmpty else { return nil }
    return pieces[Int(token)]
  }

  /// Bit `id % 64` of word `id / 64`: the token's bytes lead from `state` to a state that lives.
  func mask(from state: Automaton.State, in automaton: inout Automaton) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: (pieces.count + 63) / 64)
    var walked: Set<Automaton.State> = []
    var work = 0
    // The states after each byte of the token, as far as they live.
    var path = [state]
    for (index, id) in sorted.enumerated() {
      let piece = pieces[Int(id)]
      if work > Self.maximumWork {
        guard piece.count == 1, automaton.step(state, piece[0]) != Automaton.dead else { continue }
        words[Int(id) >> 6] |= 1 << UInt64(id & 63)
        continue
      }
      // It begins as the one before it did where that one died.
      guard shared[index] < path.count else { continue }
      path.removeSubrange((shared[index] + 1)...)
      while path.count <= piece.count {
        let next = automaton.step(path[path.count - 1], piece[path.count - 1])
        if next == Automaton.dead { break }
        if next != path[path.count - 1], walked.insert(next).inserted { work += automaton.size(of: next) }
        path.append(next)
      }
      if path.count > piece.count { words[Int(id) >> 6] |= 1 << UInt64(id & 63) }
    }
    return words
  }
}
