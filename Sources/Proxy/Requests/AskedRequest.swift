import NIOCore
import ServingAPI

/// What the workers are asked for one request.
struct AskedRequest {
  /// Path and query.
  let target: String
  /// nil for an endpoint whose body goes on untouched.
  let body: ClientBody?
  /// The body with what the answer is asked for besides; the prefill leg's answer is not for anybody.
  let followedBody: ClientBody?
  private let plain: ByteBuffer?

  /// - Parameter plain: The body where it goes on untouched.
  init(target: String, body: ClientBody?, plain: ByteBuffer? = nil, asking edits: [JSONEdit] = []) {
    self.target = target
    self.body = body
    followedBody = edits.isEmpty ? body : body?.asking(edits)
    self.plain = plain
  }

  /// For a leg whose answer is the client's, without a handoff.
  var answerBody: ByteBuffer { plain ?? followedBody?.plain ?? ByteBuffer() }
}
