import Glibc

/// What a client must know of one chunk of a completion stream. Read straight from its bytes, with no allocation: a run
/// has millions of them.
package struct StreamChunk: Equatable {
  /// A chunk with a choice is one that vLLM's benchmark counts as a token's, be its text empty.
  package var hasChoice = false
  package var usage: Usage?
  /// Where the value of `error` lies, if it is there and not null.
  package var error: Range<Int>?
  /// Where the first choice's text lies, with its quotes.
  package var text: Range<Int>?

  package struct Usage: Equatable {
    package var promptTokens: Int?
    package var completionTokens: Int?
  }

  /// - Returns: nil if `data` is no JSON object. What lies inside its fields is only looked at as far as we use it.
  package init?(_ data: UnsafeRawBufferPointer) {
    var walker = JSONWalker(data)
    var chunk = Self()
    let isObject = walker.forEachField { key, value in
      switch key.count {
      case 7 where data.holds("choices", at: key): chunk.readChoices(data, value)
      case 5 where data.holds("usage", at: key): chunk.usage = Usage(data, value)
      case 5 where data.holds("error", at: key) && data[value.lowerBound] != UInt8(ascii: "n"): chunk.error = value
      default: break
      }
    }
    guard isObject else { return nil }
    self = chunk
  }

  private init() {}

  private mutating func readChoices(_ data: UnsafeRawBufferPointer, _ value: Range<Int>) {
    var walker = JSONWalker(data, in: value.dropFirst())
    guard data[value.lowerBound] == UInt8(ascii: "[") else { return }
    var text: Range<Int>?
    hasChoice = walker.forEachField { key, value in
      switch key.count {
      case 4 where data.holds("text", at: key): text = value
      case 5 where data.holds("delta", at: key):
        var delta = JSONWalker(data, in: value)
        _ = delta.forEachField { key, value in
          if data.holds("content", at: key), data[value.lowerBound] == UInt8(ascii: "\"") { text = value }
        }
      default: break
      }
    }
    self.text = text
  }
}

extension StreamChunk.Usage {
  /// - Returns: nil if the value is null.
  init?(_ data: UnsafeRawBufferPointer, _ value: Range<Int>) {
    var walker = JSONWalker(data, in: value)
    var usage = Self()
    let isObject = walker.forEachField { key, value in
      switch key.count {
      case 13 where data.holds("prompt_tokens", at: key): usage.promptTokens = data.integer(at: value)
      case 17 where data.holds("completion_tokens", at: key): usage.completionTokens = data.integer(at: value)
      default: break
      }
    }
    guard isObject else { return nil }
    self = usage
  }
}

/// Steps over the fields of one JSON object.
private struct JSONWalker {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  private let end: Int

  init(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>? = nil) {
    self.bytes = bytes
    position = range?.lowerBound ?? 0
    end = range?.upperBound ?? bytes.count
  }

  /// - Parameter body: Called with where key (without quotes) and value of each field lie.
  /// - Returns: Whether an object stands here and ends.
  mutating func forEachField(_ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void) -> Bool {
    guard skip(UInt8(ascii: "{")) else { return false }
    if skip(UInt8(ascii: "}")) { return true }
    while true {
      skipSpace()
      let keyStart = position
      guard skipString(), skip(UInt8(ascii: ":")) else { return false }
      let keyEnd = keyEnd(from: keyStart)
      skipSpace()
      let valueStart = position
      guard skipValue() else { return false }
      body(keyStart + 1..<keyEnd, valueStart..<position)
      if skip(UInt8(ascii: ",")) { continue }
      return skip(UInt8(ascii: "}"))
    }
  }

  /// The quote that ended the key, before the colon and any space.
  private func keyEnd(from start: Int) -> Int {
    var end = position - 1
    while end > start + 1, bytes[end] != UInt8(ascii: "\"") { end -= 1 }
    return end
  }

  private mutating func skipSpace() {
    while position < end {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    skipSpace()
    guard position < end, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipString() -> Bool {
    guard position < end, bytes[position] == UInt8(ascii: "\"") else { return false }
    position += 1
    while position < end {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return true
      case UInt8(ascii: "\\"): position += 2
      default: position += 1
      }
    }
    return false
  }

  private mutating func skipValue() -> Bool {
    var depth = 0
    let start = position
    while position < end {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        guard skipString() else { return false }
        if depth == 0 { return true }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        position += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return position > start }
        depth -= 1
        position += 1
        if depth == 0 { return true }
      case UInt8(ascii: ",") where depth == 0: return position > start
      default: position += 1
      }
    }
    return false
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func holds(_ word: StaticString, at range: Range<Int>) -> Bool {
    range.count == word.utf8CodeUnitCount && memcmp(baseAddress! + range.lowerBound, word.utf8Start, range.count) == 0
  }

  fileprivate func integer(at range: Range<Int>) -> Int? {
    var number = 0
    for byte in self[range] {
      if byte == 0x20 || byte == 0x0A || byte == 0x0D { break }
      guard (0x30...0x39).contains(byte) else { return nil }
      let (product, overflow) = number.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      number = product + Int(byte - 0x30)
    }
    return range.isEmpty ? nil : number
  }
}
