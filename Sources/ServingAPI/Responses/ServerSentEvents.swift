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
