/// What two tokens make, and how early: an open hash table over (left, right).
struct MergeTable: MergeRule, Sendable {
  private struct Entry {
    var left: Int32 = -1
    var right: Int32 = -1
    var rank: UInt32 = 0
    var id: Int32 = 0
  }

  private var entries: [Entry]

  /// - Parameters:
  ///   - vocabulary: Its merges are `"left right"`: no token has a space, as the alphabets write it otherwise. Those of
  ///     control tokens are left out: where such tokens are sought in a text none of their text is left to merge, and
  ///     elsewhere they must not come of it.
  ///   - tokens: The normal and the control tokens at least.
  ///   - bytes: What a part of a merge stands for.
  init(
    _ vocabulary: TokenizerVocabulary, tokens: TokenIndex, bytes: (Substring.UnicodeScalarView) -> [UInt8]
  ) throws(TokenizerError) {
    let merges = vocabulary.merges
    var capacity = 16
    while capacity < merges.count * 2 { capacity *= 2 }
    entries = Array(repeating: Entry(), count: capacity)
    for (rank, merge) in merges.enumerated() {
      guard let entry = Self.entry(merge, rank: rank, tokens: tokens, bytes: bytes) else {
        throw .mergeNotInVocabulary(index: rank, merge: merge)
      }
      guard ![entry.left, entry.right, entry.id].contains(where: vocabulary.isControl) else { continue }
      let slot = slot(entry.left, entry.right)
      if entries[slot].left < 0 { entries[slot] = entry }
    }
  }

  private static func entry(
    _ merge: String, rank: Int, tokens: TokenIndex, bytes: (Substring.UnicodeScalarView) -> [UInt8]
  ) -> Entry? {
    let halves = merge.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
    guard halves.count == 2 else { return nil }
    let (left, right) = (bytes(halves[0]), bytes(halves[1]))
    guard let leftID = tokens.id(of: left), let rightID = tokens.id(of: right), let id = tokens.id(of: left + right)
    else { return nil }
    return Entry(left: leftID, right: rightID, rank: UInt32(rank), id: id)
  }

  func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)? {
    let entry = entries[slot(left.id, right.id)]
    return entry.left < 0 ? nil : (entry.rank, entry.id)
  }

  private func slot(_ left: Int32, _ right: Int32) -> Int {
    let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    let mask = entries.count - 1
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while entries[slot].left >= 0, entries[slot].left != left || entries[slot].right != right {
      slot = (slot + 1) & mask
    }
    return slot
  }
}
