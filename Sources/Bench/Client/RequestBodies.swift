import NIOCore
import ServingAPI

/// Writes the bodies of a run's requests: what all of them share is encoded once.
struct RequestBodies: Sendable {
  private let api: Target.API
  /// Up to the prompt.
  private let head: [UInt8]
  /// Behind prompt and length limit; nil for a limit that `extra` sets for all.
  private let tail: [UInt8]
  private let limitKey: String?

  /// - Parameter extra: Fields for every body; they take the place of our own.
  init(_ target: Target, extra: BodyValue.Fields) {
    api = target.api
    let model = extra["model"] ?? .string(target.model)
    head = Array("{\"model\":".utf8) + model.encoded + Array(",".utf8)
    var fields = BodyValue.Fields()
    fields["stream"] = true
    fields["stream_options"] = ["include_usage": true]
    for member in extra.members { fields[member.key] = member.value }
    fields["model"] = nil
    tail = Array(",".utf8) + BodyValue.object(fields).encoded.dropFirst()
    let limits = ["max_tokens", "max_completion_tokens"]
    limitKey = limits.contains { extra[$0] != nil } ? nil : api == .chat ? limits[1] : limits[0]
  }

  /// - Precondition: The API takes the request's kind of prompt: chat no token ids, completions no messages.
  func body(for request: WorkloadRequest, allocator: ByteBufferAllocator) -> ByteBuffer {
    var body = allocator.buffer(capacity: head.count + request.promptJSON.count + tail.count + 128)
    body.writeBytes(head)
    switch (api, request.kind) {
    case (.completions, .text), (.completions, .tokenIDs):
      body.writeStaticString("\"prompt\":")
      body.writeBytes(request.promptJSON)
    case (.chat, .text):
      body.writeStaticString(#""messages":[{"role":"user","content":[{"type":"text","text":"#)
      body.writeBytes(request.promptJSON)
      body.writeStaticString("}]}]")
    case (.chat, .messages):
      body.writeStaticString("\"messages\":")
      body.writeBytes(request.promptJSON)
    case (.chat, .tokenIDs), (.completions, .messages):
      preconditionFailure("\(api) takes no \(request.kind)")
    }
    if let limitKey, let outputTokens = request.outputTokens {
      body.writeString(",\"\(limitKey)\":\(outputTokens)")
    }
    body.writeBytes(tail)
    return body
  }
}
