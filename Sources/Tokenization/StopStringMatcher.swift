/// Watches a text that comes in pieces for stop strings, and holds back what may turn out to be one.
///
/// A stop string matches when its last byte arrives, so the outcome does not depend on how the text is cut into pieces;
/// of two that end on the same byte, the one given first counts. An empty stop string never matches.
package struct StopStringMatcher: Sendable {
  package struct Output: Sendable, Equatable {
    /// What may be shown now.
    package var text: String
    /// The stop string that was found: `text` ends there, and nothing comes after it.
    package var matched: String?
  }

  private let includesStop: Bool
  private var patterns: [Pattern]
  private var held: [UInt8] = []
  private var isDone = false

  /// - Parameter includeInOutput: The stop string itself is shown too (`include_stop_str_in_output`).
  package init(_ stopStrings: [String], includeInOutput: Bool = false) {
    includesStop = includeInOutput
    patterns = stopStrings.filter { !$0.isEmpty }.map(Pattern.init)
  }

  package mutating func append(_ piece: String) -> Output {
    guard !isDone else { return Output(text: "", matched: nil) }
    guard !patterns.isEmpty else { return Output(text: piece, matched: nil) }
    for byte in piece.utf8 {
      held.append(byte)
      if let pattern = advance(byte) {
        isDone = true
        return Output(text: take(held.count - (includesStop ? 0 : pattern.bytes.count)), matched: pattern.text)
      }
    }
    // Stop strings and pieces are whole characters, so the cut falls between two.
    return Output(text: take(held.count - (patterns.map(\.matchedCount).max() ?? 0)), matched: nil)
  }

  /// What is held back, since no stop string can be completed any more; empty after a match.
  package mutating func finish() -> String { isDone ? "" : take(held.count) }

  /// - Returns: The first pattern that `byte` completes.
  private mutating func advance(_ byte: UInt8) -> Pattern? {
    var found: Pattern?
    for index in patterns.indices where patterns[index].advance(byte) {
      if found == nil { found = patterns[index] }
    }
    return found
  }

  private mutating func take(_ count: Int) -> String {
    let text = String(decoding: held[..<count], as: UTF8.self)
    held.removeFirst(count)
    return text
  }
}

/// One stop string, and how much of it the text so far ends with.
///
/// Source: Knuth, Morris & Pratt 1977: each byte is looked at once, whatever the text.
private struct Pattern: Sendable {
  let text: String
  let bytes: [UInt8]
  /// By length: the longest proper prefix that is a suffix of the first so many bytes.
  private let fallback: [Int]
  private(set) var matchedCount = 0

  init(_ text: String) {
    self.text = text
    bytes = Array(text.utf8)
    var fallback = [0, 0]
    for index in bytes.indices.dropFirst() {
      var count = fallback[index]
      while count > 0, bytes[count] != bytes[index] { count = fallback[count] }
      fallback.append(bytes[count] == bytes[index] ? count + 1 : 0)
    }
    self.fallback = fallback
  }

  /// - Returns: Whether `byte` completes the stop string.
  mutating func advance(_ byte: UInt8) -> Bool {
    while matchedCount > 0, bytes[matchedCount] != byte { matchedCount = fallback[matchedCount] }
    if bytes[matchedCount] == byte { matchedCount += 1 }
    return matchedCount == bytes.count
  }
}
