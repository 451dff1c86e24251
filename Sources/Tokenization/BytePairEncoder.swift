/// Byte-level byte-pair encoding of one word at a time.
///
/// Source: Sennrich et al. 2016 (arXiv:1508.07909), over bytes as in GPT-2.
struct BytePairEncoder: Sendable {
  private let words: TokenIndex
  private let pairs: MergeTable
  /// By byte; negative where the vocabulary has no token for it.
  private let byteIDs: [Int32]
  /// By id: a word of just this token's bytes is this token, so that it needs no merging.
  private var isWholeWord: [Bool]

  /// - Parameter pieces: Of `vocabulary.tokens`, by id.
  init(_ vocabulary: TokenizerVocabulary, pieces: TokenPieces) throws(TokenizerError) {
    let ids = Array(Int32(0)..<Int32(pieces.count))
    let normal = ids.filter { vocabulary.types[Int($0)] == .normal }
    words = TokenIndex(pieces, ids: normal)
    pairs = try MergeTable(vocabulary.merges, tokens: TokenIndex(pieces, ids: normal + ids))
    byteIDs = (UInt8.min...UInt8.max).map { [words] in words.id(of: [$0]) ?? -1 }
    isWholeWord = Array(repeating: true, count: pieces.count)
    guard !vocabulary.preTokenizer.prefersWholeWords else { return }
    var merger = PairMerger()
    var found: [Int32] = []
    for id in normal {
      found.removeAll(keepingCapacity: true)
      pieces[id].withUnsafeBufferPointer { merge($0, with: &merger, into: &found) }
      isWholeWord[Int(id)] = found == [id]
    }
  }

  /// Appends the tokens of `word`. A byte that the vocabulary lacks is left out, as in Hugging Face's tokenizers.
  func encode(_ word: UnsafeBufferPointer<UInt8>, with merger: inout PairMerger, into ids: inout [Int32]) {
    if let id = words.id(of: word), isWholeWord[Int(id)] {
      ids.append(id)
    } else {
      merge(word, with: &merger, into: &ids)
    }
  }

  private func merge(_ word: UnsafeBufferPointer<UInt8>, with merger: inout PairMerger, into ids: inout [Int32]) {
    merger.begin()
    for (offset, byte) in word.enumerated() where byteIDs[Int(byte)] >= 0 {
      merger.append(MergeSymbol(start: Int32(offset), byteCount: 1, id: byteIDs[Int(byte)]))
    }
    merger.merge(by: pairs) { ids.append($0.id) }
  }
}

/// What two tokens make, and how early: an open hash table over (left, right).
private struct MergeTable: MergeRule, Sendable {
  private struct Entry {
    var left: Int32 = -1
    var right: Int32 = -1
    var rank: UInt32 = 0
    var id: Int32 = 0
  }

  private var entries: [Entry]

  init(_ merges: [String], tokens: TokenIndex) throws(TokenizerError) {
    var capacity = 16
    while capacity < merges.count * 2 { capacity *= 2 }
    entries = Array(repeating: Entry(), count: capacity)
    for (rank, merge) in merges.enumerated() {
      guard let entry = Self.entry(merge, rank: rank, tokens: tokens) else {
        throw .mergeNotInVocabulary(index: rank, merge: merge)
      }
      let slot = slot(entry.left, entry.right)
      if entries[slot].left < 0 { entries[slot] = entry }
    }
  }

  /// - Parameter merge: `"left right"`: the byte-level alphabet has no space, so there is one.
  private static func entry(_ merge: String, rank: Int, tokens: TokenIndex) -> Entry? {
    let halves = merge.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
    guard halves.count == 2 else { return nil }
    let (left, right) = (ByteLevelAlphabet.bytes(of: halves[0]), ByteLevelAlphabet.bytes(of: halves[1]))
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
