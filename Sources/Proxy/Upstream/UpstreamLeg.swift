import NIOCore
import NIOHTTP1

/// What a leg tells its owner, on the event loop. After `legEnded` or `failed` nothing more comes.
protocol UpstreamLegDelegate: AnyObject {
  /// Before the answer's head, if at all.
  func leg(_ leg: UpstreamLeg, informed head: UpstreamHead)
  func leg(_ leg: UpstreamLeg, received head: UpstreamHead)
  func leg(_ leg: UpstreamLeg, received bytes: ByteBuffer)
  /// All that came at once has been handed over; more may follow.
  func legPaused(_ leg: UpstreamLeg)
  func legEnded(_ leg: UpstreamLeg)
  func leg(_ leg: UpstreamLeg, failed fault: LegFault)
}

/// One HTTP request to one worker, from the search for a connection to the answer's last byte.
/// Belongs to its event loop; not Sendable.
final class UpstreamLeg {
  let worker: Worker
  /// Request line and fields, with the empty line.
  let head: ByteBuffer
  let body: ByteBuffer
  /// Whether it is a request's, which counts as load and tells of the worker's health.
  private let isRequest: Bool
  /// Of the worker's health, when the leg began.
  private(set) var epoch: WorkerHealth.Epoch = 0
  private let pool: UpstreamPool
  /// Let go of at the end, which comes: its owner has a deadline for every leg.
  private var delegate: (any UpstreamLegDelegate)?
  private var connection: UpstreamConnection?
  private var mayReuse = true
  private var isReused = false
  private var isFinished = false

  init(
    worker: Worker, head: ByteBuffer, body: ByteBuffer, isRequest: Bool = true, pool: UpstreamPool,
    delegate: any UpstreamLegDelegate
  ) {
    self.worker = worker
    self.isRequest = isRequest
    self.head = head
    self.body = body
    self.pool = pool
    self.delegate = delegate
  }

  func start() {
    if isRequest { epoch = worker.legStarted(now: .now()) }
    connect()
  }

  /// Ends the leg and its connection at once; the delegate hears nothing more.
  func cancel() {
    guard finish() else { return }
    connection?.close()
    connection = nil
  }

  /// Stops reading while the client is slow, so that the worker's bytes wait in the worker.
  func pauseReading(_ pause: Bool) { connection?.pauseReading(pause) }

  private func connect() {
    if mayReuse, let connection = pool.takeIdle(worker) { return use(connection, isReused: true) }
    pool.connect(to: worker) { [self] result in
      switch result {
      case .success(let connection) where isFinished: pool.giveBack(connection)
      case .success(let connection): use(connection, isReused: false)
      case .failure(let fault): fail(fault)
      }
    }
  }

  private func use(_ connection: UpstreamConnection, isReused: Bool) {
    self.connection = connection
    mayReuse = false
    self.isReused = isReused
    connection.send(self)
  }

  // MARK: From the connection

  func received(_ event: HTTPResponseParser.Event) {
    guard !isFinished else { return }
    switch event {
    case .early(let head): delegate?.leg(self, informed: head)
    case .head(let head): delegate?.leg(self, received: head)
    case .bytes(let bytes): delegate?.leg(self, received: bytes)
    case .end:
      connection = nil
      let delegate = self.delegate
      if finish() { delegate?.legEnded(self) }
    }
  }

  func handedOver() { delegate?.legPaused(self) }

  /// - Parameter heardNothing: Not one byte of an answer had come. On a connection that had been idle this only says that
  ///   the worker closed it when we took it: both legs may be sent twice, so a new connection gets a try.
  func connectionClosed(heardNothing: Bool) {
    connection = nil
    if heardNothing, isReused, !isFinished { return connect() }
    fail(.closed)
  }

  func fail(_ fault: LegFault) {
    let delegate = self.delegate
    guard finish() else { return }
    connection?.close()
    connection = nil
    delegate?.leg(self, failed: fault)
  }

  /// - Returns: Whether it had not finished before.
  private func finish() -> Bool {
    guard !isFinished else { return false }
    isFinished = true
    delegate = nil
    if isRequest { worker.legFinished(epoch, now: .now()) }
    return true
  }
}
