import Glibc
import HTTPServer
import NIOCore
import ServingAPI

/// One client's request from its arrival to the end of its answer: waits for its turn, gives its place back, and leaves
/// its line in the access log. Belongs to its event loop.
// SAFETY: every stored `var` is used on `loop.eventLoop` only; the writer's and the queue's callbacks run there.
final class Visit: @unchecked Sendable {
  let request: HTTPRequest
  let writer: HTTPResponseWriter
  private let endpoint: Endpoint?
  private let loop: ProxyLoop
  private let client: String
  private var sight: RequestSight?
  private var requestID: String?

  init(_ request: HTTPRequest, endpoint: Endpoint?, writer: HTTPResponseWriter, loop: ProxyLoop) {
    self.request = request
    self.endpoint = endpoint
    self.writer = writer
    self.loop = loop
    client = loop.context.accessLog == nil ? "" : writer.client
  }

  private var context: ProxyContext { loop.context }

  // MARK: Its turn

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  func admit(body: ClientBody?) {
    var applicant = Admission.Applicant(request, body: body, hasKeys: !context.clientKeys.isEmpty)
    applicant.prefills = endpoint?.generates == true && context.handoff != nil
    let waiter = Admission.Waiter(eventLoop: loop.eventLoop, applicant: applicant) { self.decide($0, body) }
    let (answer, ticket) = context.admission.enter(waiter, now: .now())
    if let answer { return decide(answer, body) }
    writer.onClientGone {
      guard self.context.admission.withdraw(ticket), let endpoint = self.endpoint else { return }
      self.context.metrics.finished(endpoint, .clientGone)
    }
  }

  private func decide(_ answer: Admission.Answer, _ body: ClientBody?) {
    guard let endpoint else { return }
    switch answer {
    case .refused(let reason, let retryAfter):
      context.metrics.finished(endpoint, .refused)
      writer.send(.rejected(reason, retryAfter: retryAfter))
    case .runs(let place):
      let sight = RequestSight(request, endpoint: endpoint, context: context)
      sight.admitted()
      self.sight = sight
      let exchange = RequestExchange(
        request, endpoint: endpoint, body: body, writer: writer, loop: loop, place: place, sight: sight)
      requestID = exchange.requestID
      writer.onEnd { summary in
        place.leave()
        self.log(summary)
      }
      exchange.start()
    }
  }

  // MARK: Its line in the log

  func logAtEnd() {
    guard context.accessLog != nil else { return }
    writer.onEnd { self.log($0) }
  }

  private func log(_ response: HTTPResponseWriter.Summary) {
    guard let accessLog = context.accessLog else { return }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME_COARSE, &now)
    let entry = AccessLogEntry(
      milliseconds: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000, client: client,
      method: request.method.rawValue, path: request.path, requestID: requestID, response: response,
      duration: .now() - request.received, timeline: sight?.timeline)
    accessLog.add(entry, eventLoop: loop.eventLoop)
  }
}

extension Admission.Applicant {
  static let priorityHeader = "x-request-priority"
  static let timeToFirstTokenHeader = "x-request-ttft-slo-ms"

  /// - Parameter hasKeys: Clients are told apart by their keys; else by the name of the user that they give.
  init(_ request: HTTPRequest, body: ClientBody?, hasKeys: Bool) {
    self.init()
    bytes = request.body.readableBytes
    let header = request.headers.first(name: Self.priorityHeader).flatMap { Int($0) }
    priority =
      header ?? body?.withValue(of: "priority") { Int(String(decoding: $0.prefix(20), as: UTF8.self)) ?? 0 } ?? 0
    if let limit = request.headers.first(name: Self.timeToFirstTokenHeader).flatMap({ Int64($0) }), limit > 0 {
      timeToFirstToken = .milliseconds(min(limit, 86_400_000))
    }
    var hasher = Hasher()
    if hasKeys {
      hasher.combine(request.headers.authorization)
    } else {
      body?.withValue(of: "user") { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0.prefix(256))) }
    }
    client = hasher.finalize()
  }
}
