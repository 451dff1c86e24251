import NIOCore
import ServingAPI

/// A handoff that a worker of ours has published and holds for a decoder. vLLM has no way to give one up before its lease
/// ends.
struct PublishedHandoff {
  let worker: Worker
  /// For `POST /kv/release`.
  private let release: ByteBuffer

  init?(_ head: UpstreamHead, _ prefillAnswer: ByteBuffer, on worker: Worker) {
    guard head.headers.first(name: "server") == "xpyd" else { return nil }
    let id = prefillAnswer.withUnsafeReadableBytes { bytes -> [UInt8]? in
      guard let params = try? JSONObject(scanning: bytes).value(of: "kv_transfer_params") else { return nil }
      let ticket = UnsafeRawBufferPointer(rebasing: bytes[params])
      return (try? JSONObject(scanning: ticket).value(of: "remote_request_id")).flatMap { $0 }.map { Array(ticket[$0]) }
    }
    guard let id else { return nil }
    self.worker = worker
    release = ByteBuffer(bytes: Array("{\"remote_request_id\":".utf8) + id + [UInt8(ascii: "}")])
  }

  /// Its blocks are free at once; if that cannot be said, its lease remains.
  func giveUp(lines: ByteBuffer, over loop: ProxyLoop) {
    SingleAnswer.post(
      release, to: "/kv/release", of: worker, lines: lines, over: loop,
      within: loop.context.configuration.healthCheck.timeout)
  }
}

extension RequestExchange {
  func releaseHandoff() {
    published?.giveUp(lines: headerLines, over: loop)
    published = nil
    held = nil
  }
}
