/// SentencePiece's byte-pair encoding of a text as a whole: neighbours merge if their text together is a token, the
/// token of the highest score first, or as a list of merges has it; characters that end up in no token are written as
/// byte tokens.
///
/// Source: Kudo & Richardson 2018 (arXiv:1808.06226), model type `bpe`; the order of merges is that of its library.
struct SentencePieceEncoder: Sendable {
  private let tokens: TokenIndex
  private let order: Order
  /// By byte; negative where the vocabulary has no `<0xNN>`.
  private let byteIDs: [Int32]
  private let unknownID: Int32?

  /// - Parameter pieces: Of `vocabulary.tokens`, by id, with a space for `▁`.
  init(_ vocabulary: TokenizerVocabulary, pieces: TokenPieces) throws(TokenizerError) {
    let ids = (Int32(0)..<Int32(pieces.count))
    let normal = ids.filter { vocabulary.types[Int($0)] == .normal }
    tokens = TokenIndex(pieces, ids: normal)
    if vocabulary.merges.isEmpty {
      order = .scores(Self.ranks(of: vocabulary.scores))
    } else {
      let known = TokenIndex(pieces, ids: normal + ids.filter(vocabulary.isControl))
      order = .merges(try MergeTable(vocabulary, tokens: known) { Array(String($0).utf8).withSpaces })
    }
    var byteIDs = [Int32](repeating: -1, count: 256)
    for id in ids where vocabulary.types[Int(id)] == .byte {
      if let byte = pieces[id].first, pieces[id].count == 1 { byteIDs[Int(byte)] = id }
    }
    self.byteIDs = byteIDs
    unknownID = vocabulary.unknownTokenID.map(Int32.init)
  }

  private static func ranks(of scores: [Float]) -> [UInt32] {
    let scores = scores.map { $0.isNaN ? -.infinity : $0 }
    var ranks = [UInt32](repeating: 0, count: scores.count)
    var (rank, previous) = (UInt32(0), Float.nan)
    for id in scores.indices.sorted(by: { scores[$0] > scores[$1] }) {
      if scores[id] != previous { (rank, previous) = (rank + 1, scores[id]) }
      ranks[id] = rank
    }
    return ranks
  }

  /// Appends the tokens of `text`, which is valid UTF-8 with a space for `▁`.
  func encode(_ text: UnsafeBufferPointer<UInt8>, with merger: inout PairMerger, into ids: inout [Int32]) {
    merger.begin()
    var start = 0
    while start < text.count {
      let byteCount = UTF8Sequence.byteCount(lead: text[start])
      let id = tokens.id(of: UnsafeBufferPointer(rebasing: text[start..<start + byteCount])) ?? -1
      merger.append(MergeSymbol(start: Int32(start), byteCount: Int32(byteCount), id: id))
      start += byteCount
    }
    let emit = { [self] (symbol: MergeSymbol, ids: inout [Int32]) in
      if symbol.id >= 0 {
        ids.append(symbol.id)
      } else {
        appendBytes(text[Int(symbol.start)..<Int(symbol.start + symbol.byteCount)], to: &ids)
      }
    }
    switch order {
    case .scores(let ranks):
      merger.merge(by: ScoreRule(text: text, tokens: tokens, ranks: ranks)) { emit($0, &ids) }
    case .merges(let table): merger.merge(by: table) { emit($0, &ids) }
    }
  }

  /// A character that is no token: its bytes, or the unknown token if one of them has no token either.
  private func appendBytes(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, to ids: inout [Int32]) {
    if bytes.allSatisfy({ byteIDs[Int($0)] >= 0 }) {
      ids += bytes.map { byteIDs[Int($0)] }
    } else if let unknownID {
      ids.append(unknownID)
    }
  }

  private enum Order {
    /// By id: 0 is the best score; equal scores have equal ranks.
    case scores([UInt32])
    case merges(MergeTable)
  }

  private struct ScoreRule: MergeRule {
    let text: UnsafeBufferPointer<UInt8>
    let tokens: TokenIndex
    let ranks: [UInt32]

    func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)? {
      let bytes = text[Int(left.start)..<Int(right.start + right.byteCount)]
      guard let id = tokens.id(of: UnsafeBufferPointer(rebasing: bytes)) else { return nil }
      return (ranks[Int(id)], id)
    }
  }
}

extension [UInt8] {
  fileprivate var withSpaces: [UInt8] { withUnsafeBufferPointer(SentencePieceSpace.unescape) }
}

/// SentencePiece writes a space as `▁` (U+2581).
enum SentencePieceSpace {
  static func unescape(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      if text[index] == 0xE2, index + 2 < text.count, text[index + 1] == 0x96, text[index + 2] == 0x81 {
        result.append(UInt8(ascii: " "))
        index += 3
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}
