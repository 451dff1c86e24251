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
    pairs = try MergeTable(
      vocabulary, tokens: TokenIndex(pieces, ids: normal + ids), bytes: ByteLevelAlphabet.bytes)
    byteIDs = (UInt8.min...UInt8.max).map { [words] in words.id(of: [$0]) ?? -1 }
    isWholeWord = Array(repeating: true, count: pieces.count)
    guard !vocabulary.prefersWholeWords else { return }
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
