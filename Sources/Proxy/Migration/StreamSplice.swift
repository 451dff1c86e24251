import NIOCore
import ServingAPI

/// Words the events of a continuation, which come from `/v1/completions`, as those of the stream that it continues: the
/// same id, time and model, chat chunks for a chat, and usage over both parts.
package struct StreamSplice: Sendable {
  /// An event is not what a completion's is.
  package struct Failure: Error, Equatable { package init() {} }

  /// What all events of the stream share, as its first one had it: names and JSON texts.
  private let shared: [(name: String, json: [UInt8])]
  private let promptTokens: Int
  private let earlierTokens: Int
  private let hidesIDs: Bool
  private let includesUsage: Bool
  private let chat: ChatWording?
  private let migrations: Int
  /// Told with the end; nil if the rest is what the first decoder would have said.
  package private(set) var inexact: Continuation.Inexact?
  /// Added to the places in the text as an engine counts them that knows nothing of the earlier output.
  private let textOffset: Int
  /// Characters at the beginning that the client has already.
  private var known: Int

  /// - Parameters:
  ///   - trail: As it is when the continuation begins.
  ///   - isOurs: The worker goes on after the earlier output as if it had made it.
  ///   - migrations: Of this stream, with this one.
  ///   - before: What a continuation before this one could not do exactly.
  ///   - known: Characters at the beginning that the client has already.
  /// - Throws: If the stream's first event was none of a known engine.
  package init(
    _ continuation: Continuation, after trail: TokenTrail, isOurs: Bool, migrations: Int = 1,
    before: Continuation.Inexact? = nil, known: Int = 0
  ) throws(Failure) {
    let head = trail.head + Array("\"choices\":[]}".utf8)
    guard let object = head.withUnsafeBytes({ try? JSONObject(scanning: $0) }) else { throw Failure() }
    shared = object.fields.dropLast().map { ($0.name, Array(head[$0.value])) }
    promptTokens = trail.promptIDs.count
    earlierTokens = trail.outputIDs.count
    hidesIDs = trail.hidesIDs
    includesUsage = continuation.includesUsage
    chat = trail.kind == .chat ? ChatWording(alternatives: continuation.logprobs) : nil
    self.migrations = migrations
    inexact = before ?? continuation.inexact(isOurs: isOurs, after: trail)
    textOffset = isOurs ? 0 : Self.textEnd(trail)
    self.known = known
  }

  /// - Returns: What the client gets of whole events, and whether they hold an error, at which they are cut.
  package mutating func take(
    _ events: ByteBuffer, noting trail: inout TokenTrail
  ) throws(Failure) -> (events: ByteBuffer, hasError: Bool) {
    var out = ByteBufferAllocator().buffer(capacity: events.readableBytes)
    let lines = events.readableBytesView.split(separator: UInt8(ascii: "\n"))
    for line in lines where line.starts(with: "data:".utf8) {
      var data = Array(line.dropFirst(5).drop { $0 == UInt8(ascii: " ") })
      if data.last == UInt8(ascii: "\r") { data.removeLast() }
      if data.starts(with: "{\"error\"".utf8) { return (out, true) }
      if data.starts(with: "[DONE]".utf8) {
        trail.noteDone()
      } else {
        data = try worded(data, noting: &trail)
      }
      out.writeStaticString("data: ")
      out.writeBytes(data)
      out.writeStaticString("\n\n")
    }
    return (out, false)
  }

  /// The end of a stream whose decoder failed when only this was missing.
  package func closing(_ trail: TokenTrail) -> ByteBuffer {
    var out = ByteBuffer()
    if includesUsage, !trail.hasUsage {
      out.writeStaticString("data: {")
      for (name, json) in shared {
        out.writeString("\"\(name)\":")
        out.writeBytes(json)
        out.writeStaticString(",")
      }
      out.writeString("\"choices\":[],\"usage\":\(usage(completionTokens: trail.outputIDs.count))}\n\n")
    }
    out.writeStaticString("data: [DONE]\n\n")
    return out
  }

  // MARK: One event

  private mutating func worded(_ event: [UInt8], noting trail: inout TokenTrail) throws(Failure) -> [UInt8] {
    let object = try Self.object(event)
    var edits: [JSONEdit] = shared.map { .replace($0.name, $0.json) }
    if let choice = try Self.onlyChoice(of: object, in: event) {
      edits.append(.set("choices", [UInt8(ascii: "[")] + (try worded(choice: choice, &trail)) + [UInt8(ascii: "]")]))
      if trail.isFinished, let inexact {
        edits.append(.set("xpyd", "{\"migrated\":\(migrations),\"exact\":false,\"why\":\"\(inexact.rawValue)\"}"))
      }
    } else {
      trail.noteUsage()
    }
    if let usage = object.value(of: "usage"), event[usage.lowerBound] == UInt8(ascii: "{") {
      edits.append(.replace("usage", self.usage(completionTokens: earlierTokens + (try Self.newTokens(event[usage])))))
    }
    let worded = Self.edited(object, event, edits)
    trail.noteLogprobs(in: worded)
    return worded
  }

  /// nil: the event bears usage only.
  private static func onlyChoice(of event: JSONObject, in bytes: [UInt8]) throws(Failure) -> [UInt8]? {
    guard let range = event.value(of: "choices"),
      let array = Array(bytes[range]).withUnsafeBytes({ try? JSONArray(scanning: $0) }), array.elements.count < 2
    else { throw Failure() }
    return array.elements.first.map {
      Array(bytes[($0.lowerBound + range.lowerBound)..<($0.upperBound + range.lowerBound)])
    }
  }

  private mutating func worded(choice: [UInt8], _ trail: inout TokenTrail) throws(Failure) -> [UInt8] {
    let object = try Self.object(choice)
    func value(_ name: String) -> [UInt8] { object.value(of: name).map { Array(choice[$0]) } ?? Array("null".utf8) }
    let text = value("text")
    let finish = value("finish_reason")
    let ids = value("token_ids").withUnsafeBytes { $0.hasBytes("[", at: 0) ? $0.tokenIDs(from: 1)?.ids : [] }
    guard let ids, text.first == UInt8(ascii: "\"") else { throw Failure() }
    text.withUnsafeBytes {
      trail.append(ids: ids, text: text.count > 2 ? $0 : nil, isFinish: finish.first == UInt8(ascii: "\""))
    }
    let newText = withoutKnown(text)
    let shownIDs = hidesIDs ? Array("null".utf8) : value("token_ids")
    let logprobs = try BodyValue(parsing: value("logprobs"))
    if let chat {
      let worded = chat.logprobs(logprobs)
      if worded.isLossy { inexact = inexact ?? .logprobs }
      return ChatWording.choice(
        text: newText, logprobs: worded.value.encoded, finish: finish, stop: value("stop_reason"), ids: shownIDs)
    }
    return Self.edited(
      object, choice,
      [
        .replace("text", newText), .replace("prompt_token_ids", "null"), .replace("token_ids", shownIDs),
        .replace("logprobs", moved(logprobs).encoded),
      ])
  }

  private mutating func withoutKnown(_ text: [UInt8]) -> [UInt8] {
    guard known > 0 else { return text }
    let (count, end) = text.withUnsafeBytes { $0.scalars(inStringAt: 0, atMost: known) }
    known -= count
    return [UInt8(ascii: "\"")] + text[end...]
  }

  private func moved(_ logprobs: BodyValue) -> BodyValue {
    guard textOffset > 0, case .object(var fields) = logprobs, let offsets = fields["text_offset"]?.arrayValue else {
      return logprobs
    }
    fields["text_offset"] = .array(
      offsets.map { if case .integer(let offset) = $0 { .integer(offset + Int64(textOffset)) } else { $0 } })
    return .object(fields)
  }

  /// Where the text of the next token begins, as the newest log-probabilities tell it.
  private static func textEnd(_ trail: TokenTrail) -> Int {
    guard let event = trail.lastLogprobs, let value = try? BodyValue(parsing: event),
      let logprobs = value["choices"]?.arrayValue?.first?["logprobs"],
      case .integer(let offset)? = logprobs["text_offset"]?.arrayValue?.last,
      let token = logprobs["tokens"]?.arrayValue?.last?.stringValue
    else { return 0 }
    return Int(clamping: offset) + token.unicodeScalars.count
  }

  // MARK: Usage

  private func usage(completionTokens: Int) -> String {
    """
    {"prompt_tokens":\(promptTokens),"total_tokens":\(promptTokens + completionTokens),\
    "completion_tokens":\(completionTokens)}
    """
  }

  private static func newTokens(_ usage: ArraySlice<UInt8>) throws(Failure) -> Int {
    guard case .integer(let count)? = try BodyValue(parsing: Array(usage))["completion_tokens"], count >= 0,
      count <= Int64(Int32.max)
    else { throw Failure() }
    return Int(count)
  }

  // MARK: JSON

  private static func object(_ bytes: [UInt8]) throws(Failure) -> JSONObject {
    guard let object = bytes.withUnsafeBytes({ try? JSONObject(scanning: $0) }) else { throw Failure() }
    return object
  }

  private static func edited(_ object: JSONObject, _ bytes: [UInt8], _ edits: [JSONEdit]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count + 64)
    bytes.withUnsafeBytes { source in object.edited(source, edits) { out += $0 } }
    return out
  }
}

extension BodyValue {
  fileprivate init(parsing bytes: [UInt8]) throws(StreamSplice.Failure) {
    guard let value = try? BodyParser.parse(bytes) else { throw StreamSplice.Failure() }
    self = value
  }
}
