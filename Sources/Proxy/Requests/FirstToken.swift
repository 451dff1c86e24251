import NIOCore
import ServingAPI

/// A prefiller's answer of one token, as the beginning of the stream that the client asked for.
package struct FirstToken: Sendable {
  /// Server-sent events, with the token ids.
  package let events: ByteBuffer

  /// - Parameter answer: Not streamed, and asked for with `return_token_ids`.
  /// - Returns: nil if the answer does not tell prompt and token by their ids, or is none of a known engine.
  package init?(_ answer: ByteBuffer, kind: TokenTrail.Kind) {
    guard let body = try? BodyParser.parse(Array(answer.readableBytesView)),
      let choice = body["choices"]?.arrayValue?.first, let id = body["id"]?.stringValue,
      let model = body["model"]?.stringValue, case .integer(let created)? = body["created"],
      case .integer(let token)? = body["kv_transfer_params"]?["first_tok"],
      let prompt = (kind == .chat ? body : choice)["prompt_token_ids"], prompt.arrayValue?.isEmpty == false,
      let text = (kind == .chat ? choice["message"]?["content"] : choice["text"])?.stringValue
    else { return nil }
    // A limit of one token is none of the client's.
    let reason = choice["finish_reason"]?.stringValue
    let finish: BodyValue = reason == nil || reason == "length" ? .null : .string(reason!)
    // Half a character: the decoder makes the token again, with the one behind it.
    let isWhole = !text.unicodeScalars.contains("\u{FFFD}")
    let ids: BodyValue = [.integer(token)]
    var events = ByteBuffer()
    func add(_ object: String, _ rest: String) {
      let head = #"{"id":\#(Self.json(.string(id))),"object":"\#(object)","created":\#(created),"#
      events.writeString("data: \(head)\"model\":\(Self.json(.string(model))),\"choices\":[\(rest)}\n\n")
    }
    let said = Self.json(.string(isWhole ? text : ""))
    let end = #""logprobs":null,"finish_reason":\#(Self.json(finish))"#
    switch kind {
    case .completions:
      add(
        "text_completion",
        #"{"index":0,"text":\#(said),\#(end),"stop_reason":null,"prompt_token_ids":\#(Self.json(prompt)),"#
          + #""token_ids":\#(Self.json(ids))}]"#)
    case .chat:
      add(
        "chat.completion.chunk",
        #"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"#
          + #""prompt_token_ids":\#(Self.json(prompt))"#)
      add(
        "chat.completion.chunk",
        #"{"index":0,"delta":{"content":\#(said)},\#(end),"token_ids":\#(Self.json(ids))}]"#)
    }
    self.events = events
  }

  private static func json(_ value: BodyValue) -> String { String(decoding: value.encoded, as: UTF8.self) }
}
