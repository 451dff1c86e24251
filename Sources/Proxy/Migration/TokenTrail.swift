import NIOCore

/// What a client has been sent of a stream, in token ids: enough to go on with the stream on another decoder.
///
/// The decoder is asked for the ids (`return_token_ids`); a client that did not ask for them gets `null` in their place,
/// as it would have without us. Bytes are else never changed, and read with searches for keys only (`EventBytes`).
package struct TokenTrail: Sendable {
  package enum Kind: Sendable { case completions, chat }

  /// What an event adds to the text.
  private enum Delta: Equatable {
    /// - Parameter quote: Where its JSON string begins.
    case text(quote: Int)
    case nothing
    case unknown
  }

  /// Prompt and output; a longer stream cannot be continued.
  static let mostTokens = 1 << 17
  /// Of an event before its `choices`.
  private static let mostHead = 1024

  package let kind: Kind
  /// Whether the client did not ask for ids.
  package let hidesIDs: Bool
  package private(set) var promptIDs: [Int32] = []
  package private(set) var outputIDs: [Int32] = []
  /// Of `outputIDs`, those up to the last one that came with text. Of the rest the client has seen nothing.
  package private(set) var idsWithText = 0
  /// The first event up to its `choices`: `{"id":…,"object":…,"created":…,"model":…,`.
  package private(set) var head: [UInt8] = []
  /// A choice has had its `finish_reason`.
  package private(set) var isFinished = false
  /// The usage of the whole answer has gone out, after its last choice.
  package private(set) var hasUsage = false
  /// `[DONE]` has gone out.
  package private(set) var isDone = false
  /// False once the ids do not tell what has gone out: text without ids, tool calls, reasoning.
  private var isWhole = true
  /// The newest event with log-probabilities: it tells where the next token's text begins.
  private(set) var lastLogprobs: [UInt8]?
  /// nil if the engine holds nothing back that would be missed.
  private var heldBack: HeldBackText?

  /// - Parameter heldBack: Characters at the end of the text that the engine may hold back; nil if the request has no stop
  ///   strings.
  package init(_ kind: Kind, hidesIDs: Bool, heldBack: Int? = nil) {
    self.kind = kind
    self.hidesIDs = hidesIDs
    self.heldBack = heldBack.map { HeldBackText(heldBack: $0) }
  }

  /// Whether prompt and output are known by their ids, all of them.
  package var canBeFollowed: Bool { isWhole && !promptIDs.isEmpty && !head.isEmpty }

  /// Follows whole events.
  /// - Returns: What the client gets of them, and whether they hold an error, at which they are cut.
  package mutating func take(_ events: ByteBuffer) -> (events: ByteBuffer, hasError: Bool) {
    var hidden: [Range<Int>] = []
    var errorAt: Int?
    events.withUnsafeReadableBytes { bytes in
      var start = 0
      while start < bytes.count, errorAt == nil {
        let end = bytes.offset(of: "\n", from: start) ?? bytes.count
        if bytes.hasBytes("data:", at: start) {
          let data = bytes.hasBytes(" ", at: start + 5) ? start + 6 : start + 5
          if bytes.hasBytes("{\"error\"", at: data) {
            errorAt = start
          } else {
            note(bytes, data..<end, &hidden)
          }
        }
        start = end + 1
      }
    }
    let kept = errorAt.map { events.getSlice(at: events.readerIndex, length: $0) ?? ByteBuffer() } ?? events
    return (hidesIDs && !hidden.isEmpty ? Self.withNull(at: hidden, in: kept) : kept, errorAt != nil)
  }

  /// Takes what an event added.
  /// - Parameter text: The JSON string of its text; nil if it has none, or an empty one.
  mutating func append(ids: [Int32], text: UnsafeRawBufferPointer?, isFinish: Bool) {
    if isFinish { isFinished = true }
    guard isWhole else { return }
    outputIDs += ids
    let hasText = text != nil
    if hasText { idsWithText = outputIDs.count }
    if let text, heldBack != nil { heldBack?.came(text.scalars(inStringAt: 0).count, ids: outputIDs.count) }
    // The end may bring text that was held back, and nothing follows it.
    if hasText, ids.isEmpty, !isFinished { lose() }
    if promptIDs.count + outputIDs.count > Self.mostTokens { lose() }
  }

  /// Something has gone out that the ids do not tell, or they are too many to keep.
  private mutating func lose() {
    isWhole = false
    promptIDs = []
    outputIDs = []
    idsWithText = 0
  }

  mutating func noteUsage() { hasUsage = true }

  mutating func noteDone() { isDone = true }

  mutating func noteLogprobs(in event: [UInt8]) { event.withUnsafeBytes { noteLogprobs(in: $0) } }

  private mutating func noteLogprobs(in event: UnsafeRawBufferPointer, from start: Int = 0) {
    if event.offset(of: "\"text_offset\":[", from: start) != nil { lastLogprobs = Array(event) }
  }

  /// Forgets the ids of which the client has seen nothing, so that they are made again.
  mutating func dropUnseen() { outputIDs.removeLast(outputIDs.count - idsWithText) }

  /// Forgets the ids whose text the client does not have in whole, so that they are made again.
  /// - Returns: How many characters of what comes then the client has; nil if that is not known.
  mutating func rewind() -> Int? {
    guard let place = heldBack?.rewind() else { return nil }
    outputIDs.removeLast(outputIDs.count - place.ids)
    idsWithText = place.ids
    return place.known
  }

  // MARK: One event

  private mutating func note(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, _ hidden: inout [Range<Int>]) {
    let event = UnsafeRawBufferPointer(rebasing: bytes[line])
    if event.hasBytes("[DONE]", at: 0) {
      isDone = true
      return
    }
    // All that is looked for stands behind what all events have in common.
    let start = event.begins(with: head) ? head.count : 0
    if head.isEmpty { noteHead(event) }
    var ids: [Int32] = []
    var from = start
    while let key = event.offset(of: "token_ids\":", from: from) {
      var value = key + 11
      if event.hasBytes(" ", at: value) { value += 1 }
      from = value
      guard event.hasBytes("[", at: value) else { continue }
      guard let array = event.tokenIDs(from: value + 1) else { return lose() }
      hidden.append((line.lowerBound + value)..<(line.lowerBound + array.end))
      from = array.end
      if event.hasBytes("\"", at: key - 1) {
        ids += array.ids
      } else if event.hasBytes("\"prompt_", at: key - 8), promptIDs.isEmpty, isWhole {
        promptIDs = array.ids
      }
    }
    if event.offset(of: "\"choices\":[]", from: start) != nil { hasUsage = true }
    let delta = kind == .chat ? Self.chatDelta(event, from: start) : Self.textDelta(event, from: start)
    var text: UnsafeRawBufferPointer?
    if case .text(let quote) = delta { text = UnsafeRawBufferPointer(rebasing: event[quote...]) }
    append(ids: ids, text: text, isFinish: Self.isFinish(event, from: start))
    if delta == .unknown { lose() }
    noteLogprobs(in: event, from: start)
  }

  private mutating func noteHead(_ event: UnsafeRawBufferPointer) {
    guard let end = event.offset(of: "\"choices\":"), end <= Self.mostHead else { return }
    head = Array(event[..<end])
  }

  private static func isFinish(_ event: UnsafeRawBufferPointer, from start: Int) -> Bool {
    guard let key = event.offset(of: "finish_reason\":", from: start) else { return false }
    return event.hasBytes("\"", at: event.hasBytes(" ", at: key + 15) ? key + 16 : key + 15)
  }

  private static func textDelta(_ event: UnsafeRawBufferPointer, from start: Int) -> Delta {
    guard let key = event.offset(of: "\"text\":", from: start) else { return .nothing }
    let value = event.hasBytes(" ", at: key + 7) ? key + 8 : key + 7
    return event.hasBytes("\"\"", at: value) || !event.hasBytes("\"", at: value) ? .nothing : .text(quote: value)
  }

  /// Only deltas of a role and of content are known: what an engine's parsers made of the tokens, none can go on with.
  private static func chatDelta(_ event: UnsafeRawBufferPointer, from start: Int) -> Delta {
    guard let key = event.offset(of: "\"delta\":", from: start) else { return .nothing }
    var place = event.hasBytes(" ", at: key + 8) ? key + 9 : key + 8
    guard event.hasBytes("{", at: place) else { return .unknown }
    place += 1
    if event.hasBytes("\"role\":\"assistant\",", at: place) { place += 19 }
    if event.hasBytes("}", at: place) || event.hasBytes("\"role\":\"assistant\"}", at: place) { return .nothing }
    guard event.hasBytes("\"content\":", at: place) else { return .unknown }
    place += 10
    if event.hasBytes("\"\"}", at: place) || event.hasBytes("null}", at: place) { return .nothing }
    guard event.hasBytes("\"", at: place), let end = event.endOfString(at: place) else { return .unknown }
    return event.hasBytes("}", at: end) ? .text(quote: place) : .unknown
  }

  private static func withNull(at places: [Range<Int>], in events: ByteBuffer) -> ByteBuffer {
    // An array that `null` stands for has two bytes at least.
    let capacity = events.readableBytes + 2 * places.count
    var out = ByteBufferAllocator().buffer(capacity: capacity)
    events.withUnsafeReadableBytes { bytes in
      _ = out.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { target in
        var (copied, written) = (0, 0)
        func copy(_ source: UnsafeRawBufferPointer) {
          UnsafeMutableRawBufferPointer(rebasing: target[written...]).copyMemory(from: source)
          written += source.count
        }
        for place in places where place.upperBound <= bytes.count {
          copy(UnsafeRawBufferPointer(rebasing: bytes[copied..<place.lowerBound]))
          null.withUnsafeBytes(copy)
          copied = place.upperBound
        }
        copy(UnsafeRawBufferPointer(rebasing: bytes[copied...]))
        return written
      }
    }
    return out
  }

  private static let null = Array("null".utf8)
}
