import Tokenization

/// Makes prompts of a wanted number of tokens out of its own alphabet.
///
/// With the model's tokenizer they are text of exactly that length. Without it they are token ids, which need no
/// tokenizer; chat has no place for those, and gets common words, about one token each.
package struct PromptMaker: Sendable {
  private enum Means: Sendable {
    case tokenizer(Tokenizer)
    case tokenIDs
    case words
  }

  private let means: Means
  /// Places in it are what datasets roll.
  private let alphabet: [Int32]

  package init(tokenizer: Tokenizer) {
    means = .tokenizer(tokenizer)
    let words = tokenizer.wordTokens
    alphabet = words.count >= 64 ? words : tokenizer.textTokens
  }

  private init(_ means: Means, alphabet: [Int32]) {
    self.means = means
    self.alphabet = alphabet
  }

  /// Ids that every vocabulary in use has, and that are special in none.
  package static let tokenIDs = PromptMaker(.tokenIDs, alphabet: Array(1_000..<31_000))

  package static let words = PromptMaker(.words, alphabet: Array(0..<Int32(commonWords.count)))

  package var alphabetSize: Int { alphabet.count }

  package var counts: Workload.PromptCounts {
    switch means {
    case .tokenizer: .exact
    case .tokenIDs: .tokenIDs
    case .words: .unknown
    }
  }

  /// Tokens that the server puts before or after every prompt.
  package var specialTokens: Int {
    guard case .tokenizer(let tokenizer) = means else { return 0 }
    return tokenizer.addsBOS ? 1 : 0
  }

  package func randomPlaces(_ count: Int, using dice: inout some RandomNumberGenerator) -> [Int] {
    (0..<count).map { _ in Int.random(in: 0..<alphabet.count, using: &dice) }
  }

  /// - Parameter places: In the alphabet; the prompt has as many tokens, without special ones.
  package func request(
    _ places: [Int], outputTokens: Int?, using dice: inout some RandomNumberGenerator
  ) -> WorkloadRequest {
    let ids = places.map { alphabet[$0] }
    switch means {
    case .tokenIDs: return WorkloadRequest(tokenIDs: ids, outputTokens: outputTokens)
    case .words:
      let text = ids.map { commonWords[Int($0)] }.joined(separator: " ")
      return WorkloadRequest(text: text, promptTokens: nil, outputTokens: outputTokens)
    case .tokenizer(let tokenizer):
      let (text, count) = self.text(ids, tokenizer, using: &dice)
      return WorkloadRequest(text: text, promptTokens: count + specialTokens, outputTokens: outputTokens)
    }
  }

  /// As vLLM does it: decode, encode again, cut what is too much, add what is missing, until the length holds. Its ten
  /// tries are mostly not needed, because the alphabet's tokens do not merge.
  private func text(
    _ wanted: [Int32], _ tokenizer: Tokenizer, using dice: inout some RandomNumberGenerator
  ) -> (text: String, tokens: Int) {
    var ids = wanted
    for _ in 0..<10 {
      let text = tokenizer.decode(ids, skipSpecial: false)
      ids = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      if ids.count == wanted.count { return (text, ids.count) }
      if ids.count > wanted.count {
        ids.removeLast(ids.count - wanted.count)
      } else {
        ids += randomPlaces(wanted.count - ids.count, using: &dice).map { alphabet[$0] }
      }
    }
    let text = tokenizer.decode(ids, skipSpecial: false)
    return (text, tokenizer.encode(text, addSpecial: false, parseSpecial: false).count)
  }
}

extension Tokenizer {
  /// Tokens that are a space and a lowercase word, and come back alone when their text is encoded: text made of them
  /// has as many tokens as words, wherever it is cut.
  fileprivate var wordTokens: [Int32] {
    (0..<Int32(vocabularySize)).filter { id in
      guard !isSpecial(id) else { return false }
      let bytes = bytes(of: id)
      guard bytes.count > 2, bytes[0] == UInt8(ascii: " "), bytes.dropFirst().allSatisfy({ (0x61...0x7A).contains($0) })
      else { return false }
      return encode("a" + text(of: id), addSpecial: false, parseSpecial: false).last == id
    }
  }

  /// Tokens that are whole characters.
  fileprivate var textTokens: [Int32] {
    (0..<Int32(vocabularySize)).filter { id in
      let bytes = bytes(of: id)
      return !isSpecial(id) && !bytes.isEmpty && String(validating: bytes, as: UTF8.self) != nil
    }
  }
}

/// Of one token each in the vocabularies that we know.
private let commonWords = [
  "the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not", "he", "his",
  "but", "at", "are", "this", "have", "from", "or", "had", "an", "they", "which", "one", "you", "were", "all", "her",
  "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "no", "more", "if", "out", "so",
  "up", "said", "what", "its", "about", "than", "into", "them", "can", "only", "other", "time", "new", "some",
]
