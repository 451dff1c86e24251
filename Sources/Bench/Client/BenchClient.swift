import NIOCore
import NIOHTTP1

/// Sends a run's requests when they are due and turns each into a record. One event loop does it all: what is due is
/// sent whether or not earlier answers have come (an open loop), but for `--max-concurrency`.
// SAFETY: every stored `var` is read and written on `eventLoop` only; `start` and `stop` hop there first.
final class BenchClient: @unchecked Sendable {
  let eventLoop: any EventLoop
  private let plan: RunPlan
  private let requestHead: HTTPRequestHead
  private let bodies: RequestBodies
  private let dialer: Dialer
  private let report: @Sendable (RunEvent) -> Void
  private var clock = RunClock(start: .now())
  /// The next of the plan that is not yet due.
  private var next = 0
  /// Due, and held back by the limit on concurrency: places in the plan, the first of them at `firstHeld`.
  private var held: [Int] = []
  private var firstHeld = 0
  private var flights: [ObjectIdentifier: (flight: Flight, connection: ClientConnection?)] = [:]
  private var idle: [ClientConnection] = []
  private var timers: [RepeatedTask] = []
  private var arrival: Scheduled<Void>?
  private var isStopped = false

  private static let sweepInterval = TimeAmount.milliseconds(100)

  /// - Parameter report: Called on the event loop; `.ended` is the last event.
  init(
    _ plan: RunPlan, dialer: Dialer, eventLoop: any EventLoop, report: @escaping @Sendable (RunEvent) -> Void
  ) {
    self.plan = plan
    self.dialer = dialer
    self.eventLoop = eventLoop
    self.report = report
    bodies = RequestBodies(plan.target, extra: plan.options.extraBody)
    var headers = HTTPHeaders([
      ("host", plan.target.base.authority), ("content-type", "application/json"), (ServerTiming.fieldName, "1"),
    ])
    for field in plan.target.headers { headers.replaceOrAdd(name: field.name, value: field.value) }
    requestHead = HTTPRequestHead(
      version: .http1_1, method: .POST, uri: plan.target.base.prefix + plan.target.endpoint, headers: headers)
  }

  // MARK: From any thread

  func start() {
    eventLoop.execute { [self] in
      clock = RunClock(start: .now())
      timers = [
        eventLoop.scheduleRepeatedTask(initialDelay: Self.sweepInterval, delay: Self.sweepInterval) { [self] _ in
          sweep()
        }
      ]
      sendWhatIsDue()
    }
  }

  /// Sends no more, and ends what is on its way as `cancelled`.
  func stop() {
    eventLoop.execute { [self] in
      isStopped = true
      arrival?.cancel()
      held = []
      firstHeld = 0
      for (flight, connection) in flights.values {
        connection?.close()
        finish(flight, flight.left(at: .now()))
      }
      endIfDone()
    }
  }

  // MARK: Arrivals

  private func sendWhatIsDue() {
    guard !isStopped else { return }
    while next < plan.schedule.count {
      let due = clock.moment(at: plan.schedule[next])
      guard due <= .now() else {
        arrival = eventLoop.scheduleTask(deadline: due) { [self] in sendWhatIsDue() }
        return
      }
      next += 1
      if let limit = plan.options.maxConcurrency, flights.count >= limit {
        held.append(next - 1)
      } else {
        send(makeFlight(next - 1))
      }
    }
    endIfDone()
  }

  private func makeFlight(_ index: Int) -> Flight {
    var record = RequestRecord(index: index, scheduled: plan.schedule[index], finished: 0, outcome: .ok)
    record.requestID = plan.options.requestIDPrefix + String(index)
    return Flight(
      plan.workload.requests[index], record: record, manners: plan.manners(of: index),
      keepsText: plan.options.keepsText, clock: clock)
  }

  private func send(_ flight: Flight) {
    flight.started(at: clock.seconds(at: .now()))
    flights[ObjectIdentifier(flight)] = (flight, nil)
    connect(flight, mayReuse: !flight.manners.readsSlowly)
  }

  private func sendHeld() {
    while firstHeld < held.count, flights.count < plan.options.maxConcurrency ?? .max {
      let flight = makeFlight(held[firstHeld])
      firstHeld += 1
      flight.wasHeld(until: clock.seconds(at: .now()))
      send(flight)
    }
    if firstHeld == held.count {
      held.removeAll(keepingCapacity: true)
      firstHeld = 0
    }
  }

  // MARK: Connections

  private func connect(_ flight: Flight, mayReuse: Bool) {
    if mayReuse {
      while let connection = idle.popLast() {
        if connection.isUsable { return carry(flight, over: connection, isReused: true) }
      }
    }
    let connection = ClientConnection(client: self)
    dialer.dial(connection, on: eventLoop, readsSlowly: flight.manners.readsSlowly) { [self] failure in
      // A flight that was stopped or given up while it waited.
      guard flights[ObjectIdentifier(flight)] != nil else { return connection.close() }
      if let failure {
        finish(flight, flight.failed(.connect, failure, at: .now()))
      } else {
        carry(flight, over: connection, isReused: false)
      }
    }
  }

  private func carry(_ flight: Flight, over connection: ClientConnection, isReused: Bool) {
    flights[ObjectIdentifier(flight)]?.connection = connection
    connection.carry(flight, isReused: isReused)
  }

  func message(for flight: Flight) -> (HTTPRequestHead, ByteBuffer) {
    let body = bodies.body(for: flight.request, allocator: ByteBufferAllocator())
    var head = requestHead
    head.headers.replaceOrAdd(name: "x-request-id", value: flight.record.requestID ?? "")
    head.headers.replaceOrAdd(name: "content-length", value: String(body.readableBytes))
    return (head, body)
  }

  func giveBack(_ connection: ClientConnection) { idle.append(connection) }

  func forget(_ connection: ClientConnection) {
    if let place = idle.lastIndex(where: { $0 === connection }) { idle.remove(at: place) }
  }

  /// A connection from the pool may have been closed as we took it: then the request goes out once more.
  func connectionClosed(under flight: Flight, isReused: Bool, reason: String) {
    if isReused, !flight.heardAnything { return connect(flight, mayReuse: false) }
    finish(flight, flight.failed(.broken, reason, at: .now()))
  }

  // MARK: Ends

  func finish(_ flight: Flight, _ record: RequestRecord) {
    guard flights.removeValue(forKey: ObjectIdentifier(flight)) != nil else { return }
    report(.record(record))
    guard !isStopped else { return }
    sendHeld()
    endIfDone()
  }

  private func sweep() {
    let now = NIODeadline.now()
    let oldest = clock.seconds(at: now - plan.options.requestTimeout)
    for (flight, connection) in flights.values {
      if flight.manners.readsSlowly { connection?.readSome() }
      guard let started = flight.record.started, started < oldest else { continue }
      connection?.close()
      let seconds = Double(plan.options.requestTimeout.nanoseconds) / 1e9
      finish(flight, flight.failed(.timeout, "No whole answer in \(seconds) s.", at: now))
    }
    report(
      .progress(
        RunProgress(seconds: clock.seconds(at: now), sent: next - held.count + firstHeld, inFlight: flights.count)))
  }

  private func endIfDone() {
    guard flights.isEmpty, isStopped || (next == plan.schedule.count && firstHeld == held.count) else { return }
    guard !timers.isEmpty else { return }
    for timer in timers { timer.cancel() }
    timers = []
    for connection in idle { connection.close() }
    idle = []
    report(.ended)
  }
}
