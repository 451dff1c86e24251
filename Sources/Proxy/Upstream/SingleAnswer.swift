import NIOCore
import NIOHTTP1

/// Asks one worker one small question and hands over the whole answer, or what went wrong, once.
/// Belongs to its event loop; keeps itself alive until then.
final class SingleAnswer: UpstreamLegDelegate {
  private static let mostBytes = 1 << 20
  private let completion: (Result<(status: Int, body: ByteBuffer), LegFault>) -> Void
  private var keepAlive: SingleAnswer?
  private var leg: UpstreamLeg?
  private var timeout: Scheduled<Void>?
  private var status = 0
  private var body = ByteBuffer()

  private init(completion: @escaping (Result<(status: Int, body: ByteBuffer), LegFault>) -> Void) {
    self.completion = completion
  }

  static func get(
    _ path: String, from worker: Worker, over loop: ProxyLoop, within time: Duration, authorization: String? = nil,
    then completion: @escaping (Result<(status: Int, body: ByteBuffer), LegFault>) -> Void
  ) {
    let answer = SingleAnswer(completion: completion)
    let credentials = loop.context.configuration.workerKey.map { "Bearer \($0)" } ?? authorization
    let line = credentials.map { "authorization: \($0)\r\n" } ?? ""
    let head = ByteBuffer(string: "GET \(path) HTTP/1.1\r\nhost: \(worker.address)\r\n\(line)\r\n")
    answer.send(head, ByteBuffer(), to: worker, over: loop, within: time)
  }

  static func post(
    _ json: ByteBuffer, to path: String, of worker: Worker, lines: ByteBuffer, over loop: ProxyLoop,
    within time: Duration,
    then completion: @escaping (Result<(status: Int, body: ByteBuffer), LegFault>) -> Void = { _ in }
  ) {
    var head = ByteBuffer(string: "POST \(path) HTTP/1.1\r\nhost: \(worker.address)\r\n")
    head.writeString("content-length: \(json.readableBytes)\r\n")
    head.writeImmutableBuffer(lines)
    head.writeStaticString("\r\n")
    SingleAnswer(completion: completion).send(head, json, to: worker, over: loop, within: time)
  }

  private func send(
    _ head: ByteBuffer, _ body: ByteBuffer, to worker: Worker, over loop: ProxyLoop, within time: Duration
  ) {
    keepAlive = self
    timeout = loop.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: TimeAmount(time)) {
      self.leg?.fail(.deadline(.idle))
    }
    let leg = UpstreamLeg(
      worker: worker, head: head, body: body, isRequest: false, pool: loop.pool, delegate: self)
    self.leg = leg
    leg.start()
  }

  func leg(_ leg: UpstreamLeg, informed head: UpstreamHead) {}

  func leg(_ leg: UpstreamLeg, received head: UpstreamHead) { status = Int(head.status.code) }

  func leg(_ leg: UpstreamLeg, received bytes: ByteBuffer) {
    body.writeImmutableBuffer(bytes)
    if body.readableBytes > Self.mostBytes { leg.fail(.tooLarge) }
  }

  func legPaused(_ leg: UpstreamLeg) {}

  func legEnded(_ leg: UpstreamLeg) { finish(.success((status, body))) }

  func leg(_ leg: UpstreamLeg, failed fault: LegFault) { finish(.failure(fault)) }

  private func finish(_ result: Result<(status: Int, body: ByteBuffer), LegFault>) {
    timeout?.cancel()
    leg = nil
    keepAlive = nil
    completion(result)
  }
}
