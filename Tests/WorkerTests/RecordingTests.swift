import ServingAPI
import Testing

/// Every recorded exchange with vLLM, repeated against a worker: same status, same headers that matter, same shape.
struct RecordingTests {
  /// The tiny vocabulary has no such ids.
  private static let tokenIDs = "[504, 3575, 282, 4649, 314]"

  private static func request(of recording: Recording) -> [UInt8] {
    var text = String(decoding: recording.request, as: UTF8.self)
    if let range = text.firstRange(of: tokenIDs) { text.replaceSubrange(range, with: "[104, 105, 106, 107, 108]") }
    return Array(text.utf8)
  }

  @Test func `Every recording of vLLM is answered with the same status, type and shape`() async throws {
    #expect(Recording.all.count > 50)
    try await withWorker { worker in
      for recording in Recording.all where recording.name != "metrics" {
        let answer = try await worker.send(
          recording.method, recording.path, headers: recording.headers, body: Self.request(of: recording))
        #expect(answer.status == recording.status, "\(recording.name): \(answer.text)")
        #expect(answer.headers["content-type"] ?? "" == recording.contentType, "\(recording.name)")
        if let difference = Self.difference(answer, recording) {
          Issue.record("\(recording.name): \(difference)")
        }
      }
      #expect(try await worker.poolIsFree())
    }
  }

  private static func difference(_ answer: Answer, _ recording: Recording) -> String? {
    let theirs = Answer(recording)
    guard recording.contentType.hasPrefix("text/event-stream") else {
      return Shape.difference(answer.json, theirs.json)
    }
    guard answer.events.last == "[DONE]" else { return "no [DONE]" }
    let pairs: [(String, BodyValue?, BodyValue?)] = [
      ("first", answer.chunks.first, theirs.chunks.first), ("second", answer.chunks[1], theirs.chunks[1]),
      ("last but one", answer.chunks.dropLast().last, theirs.chunks.dropLast().last),
      ("last", answer.chunks.last, theirs.chunks.last),
    ]
    for (name, ours, theirs) in pairs {
      // Where the model ends is the model's: only the shape of an end is compared, and only with an end.
      guard let ours, let theirs, ours.isEnd == theirs.isEnd else { continue }
      if let difference = Shape.difference(ours, theirs, at: "\(name) chunk") { return difference }
    }
    return nil
  }

  @Test func `A client's X-Request-Id becomes the id, and comes back`() async throws {
    try await withWorker { worker in
      let answer = try await worker.post(
        "/v1/completions", ["prompt": "a", "max_tokens": 1], headers: [("X-Request-Id", "my-req-42")])
      #expect(answer.json["id"] == "cmpl-my-req-42")
      #expect(answer.headers["x-request-id"] == "my-req-42")
      let hostile = try await worker.post(
        "/v1/completions", ["prompt": "a", "max_tokens": 1],
        headers: [("X-Request-Id", String(repeating: "x", count: 5000))])
      #expect(hostile.headers["x-request-id"]?.count == 16)
    }
  }

  @Test func `The body names a request that the header does not`() async throws {
    try await withWorker { worker in
      let body: BodyValue = ["prompt": "a", "max_tokens": 1, "request_id": "from-body"]
      let named = try await worker.post("/v1/completions", body)
      #expect(named.json["id"] == "cmpl-from-body")
      #expect(named.headers["x-request-id"] == "from-body")
      let both = try await worker.post("/v1/completions", body, headers: [("X-Request-Id", "from-header")])
      #expect(both.json["id"] == "cmpl-from-header")
      let hostile = try await worker.post(
        "/v1/completions", ["prompt": "a", "max_tokens": 1, "request_id": "a\r\nX-Evil: 1"])
      #expect(hostile.headers["x-evil"] == nil)
      #expect(hostile.headers["x-request-id"]?.count == 16)
    }
  }

  @Test func `A wrong method names the right one`() async throws {
    try await withWorker { worker in
      let generation = try await worker.get("/v1/completions")
      let probe = try await worker.send("POST", "/health", headers: [], body: [])
      #expect(generation.headers["allow"] == "POST")
      #expect(probe.status == 405)
    }
  }
}

extension Answer {
  fileprivate init(_ recording: Recording) {
    self = Answer(Array("HTTP/1.1 \(recording.status) x\r\n\r\n".utf8) + recording.response, connectionEnded: true)!
    headers["content-type"] = recording.contentType
  }
}

extension BodyValue {
  /// Whether a chunk bears a finish reason.
  fileprivate var isEnd: Bool {
    (self["choices"]?.arrayValue ?? []).contains { ($0["finish_reason"] ?? .null) != .null }
  }
}
