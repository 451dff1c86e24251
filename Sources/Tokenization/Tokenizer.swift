import ModelFiles

/// Text to token ids and back, as the model's authors cut it.
///
/// Encoding and decoding never fail. Text comes back as it was but for what the model itself forgets: bytes that its
/// vocabulary lacks, `▁` in SentencePiece, and the order of combining marks in Qwen 2, which works on normal form C.
package final class Tokenizer: Sendable {
  private enum Encoder: Sendable {
    case bytePairs(BytePairEncoder, PreTokenizer)
    case sentencePiece(SentencePieceEncoder)
  }

  private let encoder: Encoder
  private let pieces: TokenPieces
  /// By id.
  private let areSpecial: [Bool]
  /// Found in every text.
  private let userDefinedTokens: SpecialTokens
  /// Found where special tokens are parsed: the user defined ones, control and unknown tokens.
  private let specialTokens: SpecialTokens
  private let spacePrefix: SpacePrefix

  package let bosTokenID: Int32?
  package let eosTokenID: Int32?
  /// EOS, and every token that ends a turn or a message.
  package let endOfGenerationTokenIDs: Set<Int32>
  /// Whether `encode` with `addSpecial` begins with BOS.
  package let addsBOS: Bool
  private let addsEOS: Bool
  /// Jinja.
  package let chatTemplateSource: String?

  package var vocabularySize: Int { pieces.count }

  package convenience init(metadata: GGUFMetadata) throws(TokenizerError) {
    try self.init(TokenizerVocabulary(metadata: metadata))
  }

  package init(_ vocabulary: TokenizerVocabulary) throws(TokenizerError) {
    try vocabulary.checkCounts()
    let pieces = vocabulary.makePieces()
    self.pieces = pieces
    encoder =
      switch vocabulary.model {
      case .bytePairEncoding:
        .bytePairs(try BytePairEncoder(vocabulary, pieces: pieces), vocabulary.preTokenizer)
      case .sentencePiece: .sentencePiece(try SentencePieceEncoder(vocabulary, pieces: pieces))
      }
    let added = vocabulary.addedTokens ?? vocabulary.addedTokensByType
    userDefinedTokens = SpecialTokens(added.filter { !$0.isSpecial })
    specialTokens = SpecialTokens(added)
    spacePrefix = vocabulary.spacePrefix
    bosTokenID = vocabulary.bosTokenID.map(Int32.init)
    eosTokenID = vocabulary.eosTokenID.map(Int32.init)
    addsBOS = vocabulary.addsBOS && bosTokenID != nil
    addsEOS = vocabulary.addsEOS && eosTokenID != nil
    chatTemplateSource = vocabulary.chatTemplate
    let endIDs = Set(
      (vocabulary.endOfTurnTokenIDs + [vocabulary.eosTokenID].compactMap { $0 }).map(Int32.init)
        + endOfGenerationTexts.compactMap(specialTokens.id(of:)))
    endOfGenerationTokenIDs = endIDs
    areSpecial = (0..<Int32(pieces.count)).map { vocabulary.isControl($0) || endIDs.contains($0) }
    // A table that the first text would else wait for.
    if vocabulary.model == .bytePairEncoding { _ = ScalarClass.basicPlane }
  }

  // MARK: Text to ids

  /// - Parameters:
  ///   - text: Of less than 2 GiB.
  ///   - addSpecial: BOS before and EOS after the text, where the model wants them.
  ///   - parseSpecial: `<|im_start|>` in the text is that token, and not its characters. User defined tokens always are.
  package func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
    var ids: [Int32] = []
    if addSpecial, addsBOS, let bosTokenID { ids.append(bosTokenID) }
    var text = text
    text.withUTF8 { text in
      var merger = PairMerger()
      for fragment in (parseSpecial ? specialTokens : userDefinedTokens).fragments(of: text) {
        switch fragment {
        case .token(let id):
          ids.append(id)
        case .text(let range):
          let text = UnsafeBufferPointer(rebasing: text[range])
          encode(text, isStart: range.lowerBound == 0, with: &merger, into: &ids)
        }
      }
    }
    if addSpecial, addsEOS, let eosTokenID { ids.append(eosTokenID) }
    return ids
  }

  private func encode(
    _ text: UnsafeBufferPointer<UInt8>, isStart: Bool, with merger: inout PairMerger, into ids: inout [Int32]
  ) {
    switch encoder {
    case .bytePairs(let encoder, let preTokenizer):
      preTokenizer.withNormalized(text) { text in
        let scanner = WordScanner(text, rules: preTokenizer)
        var start = 0
        while start < text.count {
          let end = scanner.endOfWord(from: start)
          encoder.encode(UnsafeBufferPointer(rebasing: text[start..<end]), with: &merger, into: &ids)
          start = end
        }
      }
    case .sentencePiece(let encoder):
      var marked = SentencePieceSpace.unescape(text)
      if spacePrefix.applies(to: marked, isStart: isStart) { marked.insert(UInt8(ascii: " "), at: 0) }
      marked.withUnsafeBufferPointer { encoder.encode($0, with: &merger, into: &ids) }
    }
  }

  /// The first token's leading space is no space of the text's.
  var addsSpacePrefix: Bool { spacePrefix != .none }

  // MARK: Ids to text

  /// - Parameters:
  ///   - ids: Valid ones. Bytes that are no UTF-8 come out as U+FFFD.
  ///   - skipSpecial: Leave out what `isSpecial`.
  ///   - continuesText: See `StreamingDetokenizer`.
  package func decode(_ ids: some Sequence<Int32>, skipSpecial: Bool, continuesText: Bool = false) -> String {
    var detokenizer = StreamingDetokenizer(self, skipSpecial: skipSpecial, continuesText: continuesText)
    for id in ids { detokenizer.hold(id) }
    return detokenizer.finish()
  }

  /// What a valid id stands for: a part of a character, maybe; a control token's own text.
  package func bytes(of id: Int32) -> [UInt8] { Array(pieces[id]) }

  /// `bytes(of:)` as text, with U+FFFD for what is no UTF-8 by itself.
  package func text(of id: Int32) -> String { String(decoding: pieces[id], as: UTF8.self) }

  func piece(of id: Int32) -> ArraySlice<UInt8> { pieces[id] }

  package func isValid(_ id: Int32) -> Bool { id >= 0 && Int(id) < pieces.count }

  /// Whether a valid id is a control or unknown token or ends a generation: what `skipSpecial` leaves out.
  package func isSpecial(_ id: Int32) -> Bool { areSpecial[Int(id)] }

  /// The control, unknown or user defined token of this text.
  package func id(ofSpecial text: String) -> Int32? { specialTokens.id(of: text) }
}

extension TokenizerVocabulary {
  fileprivate func checkCounts() throws(TokenizerError) {
    guard !tokens.isEmpty else { throw .emptyVocabulary }
    if types.count != tokens.count {
      throw .countMismatch(key: "tokenizer.ggml.token_type", count: types.count, tokens: tokens.count)
    }
    if model == .sentencePiece, merges.isEmpty, scores.count != tokens.count {
      throw .countMismatch(key: "tokenizer.ggml.scores", count: scores.count, tokens: tokens.count)
    }
  }
}

extension SpacePrefix {
  fileprivate func applies(to text: [UInt8], isStart: Bool) -> Bool {
    let isThere = text.first == UInt8(ascii: " ")
    switch self {
    case .none: return false
    case .always: return true
    case .unlessThere: return !isThere
    case .atStartUnlessThere: return isStart && !isThere
    }
  }
}
