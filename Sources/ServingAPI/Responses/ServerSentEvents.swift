/// Frames of `text/event-stream` as OpenAI's API uses them: one `data:` line an event.
package enum ServerSentEvents {
  package static let done = Array("data: [DONE]\n\n".utf8)

  package static func frame(_ value: BodyValue) -> [UInt8] {
    var out = Array("data: ".utf8)
    out += value.encoded
    out += [0x0A, 0x0A]
    return out
  }
}

/// One event of an answer's stream.
package enum ServerSentEvent: Sendable, Equatable {
  case chunk(BodyValue)
  /// Its data's `type` is also its name.
  case typed(BodyValue)
  /// OpenAI's last one.
  case done

  package var frame: [UInt8] {
    switch self {
    case .chunk(let value): ServerSentEvents.frame(value)
    case .typed(let value):
      Array("event: \(value["type"]?.stringValue ?? "error")\n".utf8) + ServerSentEvents.frame(value)
    case .done: ServerSentEvents.done
    }
  }
}
