import KVBlocks

/// This pool's NIXL agent: the pool is registered with it once, and peers' pools are read into it.
///
/// `start` → `advert`, `meet` and reads, from any threads → `close`. NIXL's calls may block for as long as a copy takes, so
/// they are for threads of our own. One thread at a time has its turn; the others wait in the monitor, with a deadline.
///
/// NIXL cannot cancel. A read that was given up is waited for; if it does not end, its session is torn down and another
/// begun, which ends all that it had under way: so a read that has returned writes no more.
package final class NixlAgent: Sendable {
  private struct State: Sendable {
    var session: NixlSession?
    var isBusy = false
    /// What connections have left behind, for whoever has the next turn.
    var forgotten: Forgotten = []
    var isClosed = false
  }

  private struct Start: Sendable {
    var result: Result<NixlSession, KVTransferError>?
    var isGivenUp = false
  }

  /// Creating an agent takes half a second; two that are created at the same time have been seen to hang for ever.
  private static let patienceWithStart = Duration.seconds(20)

  private let library: NixlLibrary
  private let memory: KVMemory
  private let state: Monitor<State>

  private init(_ library: NixlLibrary, _ memory: KVMemory, _ session: NixlSession) {
    self.library = library
    self.memory = memory
    state = Monitor(State(session: session))
  }

  /// - Throws: `nixlUnavailable`.
  package static func start(_ library: NixlLibrary, over memory: KVMemory) throws(KVTransferError) -> NixlAgent {
    let start = Monitor(Start())
    let isStarted = OwnThread.start("kv-nixl-start") {
      let result = begin(library, memory)
      let isWanted = start.update { start in
        start.result = result
        return !start.isGivenUp
      }
      if !isWanted { try? result.get().end() }
    }
    guard isStarted else { throw .nixlUnavailable(reason: "the process is out of threads") }
    let deadline = ContinuousClock.now + patienceWithStart
    let result = start.wait { start in
      if let result = start.result { return .done(result) }
      guard .now >= deadline else { return .wait(until: deadline) }
      start.isGivenUp = true
      return .done(.failure(.timedOut(what: "NIXL agent", after: patienceWithStart)))
    }
    switch result {
    case .success(let session): return NixlAgent(library, memory, session)
    case .failure(let error): throw .nixlUnavailable(reason: "\(library.path): \(error)")
    }
  }

  private static func begin(_ library: NixlLibrary, _ memory: KVMemory) -> Result<NixlSession, KVTransferError> {
    Result { () throws(KVTransferError) in
      try NixlSession.begin(library, over: memory, name: "xpyd-kv-\(KVHandoff.ID.random().rawValue)")
    }
  }

  /// - Precondition: No read is under way.
  package func close() {
    let session = state.wait { state -> Monitor<State>.Step<NixlSession?> in
      if state.isBusy { return .wait(until: nil) }
      state.isClosed = true
      defer { state.session = nil }
      return .done(state.session)
    }
    session?.end()
  }

  /// What a peer must know to read this pool.
  package func advert(until deadline: ContinuousClock.Instant) throws(KVTransferError) -> LocatedBody {
    let base = UInt64(UInt(bitPattern: memory.base))
    return try inTurn(until: deadline) { session throws(KVTransferError) in
      LocatedBody(name: session.name, base: base, metadata: try session.metadata())
    }
  }

  /// Lets peers' reads of this pool go on by a step. To be called again and again while one is under way: NIXL's own thread
  /// for it would take a good part of a core, also when nobody reads.
  package func serveReads(until deadline: ContinuousClock.Instant) {
    try? inTurn(until: deadline) { $0.progress() }
  }

  /// - Parameter blockCount: of the peer's pool.
  package func meet(
    _ advert: LocatedBody, blockCount: UInt64, until deadline: ContinuousClock.Instant
  ) throws(KVTransferError) -> NixlPeer {
    let (bytes, isTooLarge) = blockCount.multipliedReportingOverflow(by: UInt64(memory.layout.bytesPerBlock))
    guard !advert.metadata.isEmpty, let base = UInt(exactly: advert.base), base > 0, !isTooLarge,
      !advert.base.addingReportingOverflow(bytes).overflow, let count = Int(exactly: blockCount)
    else { throw .nixlFailed("the peer told no pool that could be") }
    return try inTurn(until: deadline) { session throws(KVTransferError) in
      try session.meet(advert.name, advert.metadata)
      return NixlPeer(name: advert.name, base: base, blockCount: count, agent: self, session: session)
    }
  }

  fileprivate func forget(_ name: String, in session: NixlSession) {
    state.withLock { $0.forgotten.append((session, name)) }
  }

  fileprivate func read(
    _ blocks: [UInt32], into targets: [KVBlockID], from peer: NixlPeer, _ patience: Patience,
    _ interruption: () -> KVTransferError?
  ) throws(KVTransferError) -> Bool {
    let spans = NixlSpan.spans(
      blocks, at: peer.base, blockCount: peer.blockCount, into: targets, at: UInt(bitPattern: memory.base),
      bytesPerBlock: memory.layout.bytesPerBlock)
    guard let spans else { return false }
    if !spans.isEmpty { try read(spans, from: peer, patience, interruption) }
    return true
  }

  private func read(
    _ spans: [NixlSpan], from peer: NixlPeer, _ patience: Patience, _ interruption: () -> KVTransferError?
  ) throws(KVTransferError) {
    let session = peer.session
    let request = try inTurn(until: patience.end) { _ throws(KVTransferError) in
      try session.post(spans, from: peer.name)
    }
    guard let request else { return }
    var pause = SpinThenSleep(moving: spans.reduce(0) { $0 + $1.bytes })
    while true {
      switch status(of: request, session, until: patience.end) {
      case .done: return
      case .failed(let status): throw .nixlFailed("a read ended with \(status)")
      case .running, nil: pause.wait()
      }
      let isOver = ContinuousClock.now >= patience.end
      if let end = isOver ? .timedOut(what: "blocks over NIXL", after: patience.whole) : interruption() {
        settle(request, session, within: patience.stall)
        throw end
      }
    }
  }

  /// Returns when the read has ended: by itself, or with its session.
  private func settle(_ request: NixlSession.Request, _ session: NixlSession, within limit: Duration) {
    let deadline = ContinuousClock.now + limit
    var pause = SpinThenSleep()
    while ContinuousClock.now < deadline {
      switch status(of: request, session, until: deadline) {
      case .done, .failed: return
      case .running, nil: pause.wait()
      }
    }
    restart(session)
  }

  /// - Returns: nil if the turn did not come until the deadline.
  private func status(
    of request: NixlSession.Request, _ session: NixlSession, until deadline: ContinuousClock.Instant
  ) -> NixlSession.Status? {
    do throws(KVTransferError) {
      return try inTurn(until: deadline) { _ in session.status(of: request) }
    } catch {
      if case .timedOut = error { return nil }
      return .failed(0)
    }
  }

  /// Tears the session down, if nobody has yet, and begins another.
  private func restart(_ session: NixlSession) {
    let turn = takeTurn(until: nil)
    guard case .taken(let current) = turn else { return }
    var next: NixlSession? = current
    if current === session {
      session.end()
      next = try? Self.begin(library, memory).get()
    }
    state.update { state in
      state.session = next
      state.isBusy = false
    }
  }

  private typealias Forgotten = [(session: NixlSession, name: String)]
  private enum Turn: Sendable { case taken(NixlSession), late, gone(KVTransferError) }

  /// - Parameter deadline: nil: as long as the others take, who all have deadlines.
  private func takeTurn(until deadline: ContinuousClock.Instant?) -> Turn {
    let (turn, forgotten) = state.wait { state -> Monitor<State>.Step<(Turn, Forgotten)> in
      guard let session = state.session else {
        return .done((Turn.gone(state.isClosed ? .closed : .nixlFailed("its agent could not be made again")), []))
      }
      if state.isBusy {
        if let deadline, .now >= deadline { return .done((.late, [])) }
        return .wait(until: deadline)
      }
      state.isBusy = true
      defer { state.forgotten = [] }
      return .done((.taken(session), state.forgotten))
    }
    for (session, name) in forgotten { session.forget(name) }
    return turn
  }

  private func inTurn<Value>(
    until deadline: ContinuousClock.Instant, _ body: (NixlSession) throws(KVTransferError) -> Value
  ) throws(KVTransferError) -> Value {
    let start = ContinuousClock.now
    switch takeTurn(until: deadline) {
    case .late: throw .timedOut(what: "turn at NIXL", after: start.duration(to: .now))
    case .gone(let error): throw error
    case .taken(let session):
      defer { state.update { $0.isBusy = false } }
      return try body(session)
    }
  }
}

/// A peer whose pool a connection can read, for as long as the connection lives.
package final class NixlPeer: Sendable {
  let name: String
  let base: UInt
  let blockCount: Int
  private let agent: NixlAgent
  fileprivate let session: NixlSession

  fileprivate init(name: String, base: UInt, blockCount: Int, agent: NixlAgent, session: NixlSession) {
    self.name = name
    self.base = base
    self.blockCount = blockCount
    self.agent = agent
    self.session = session
  }

  deinit { agent.forget(name, in: session) }

  /// Reads a claim's blocks into the first of `targets`; once this has returned or thrown, nobody writes there.
  /// - Parameter interruption: Asked again and again; what it tells ends the read.
  /// - Returns: False if the peer's pool has no such block.
  package func read(
    _ blocks: [UInt32], into targets: [KVBlockID], _ patience: Patience, interruption: () -> KVTransferError?
  ) throws(KVTransferError) -> Bool {
    try agent.read(blocks, into: targets, from: self, patience, interruption)
  }
}
