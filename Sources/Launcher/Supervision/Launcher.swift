import Foundation
import Subprocess
import UnixSignals

/// Starts a deployment's processes, watches them, and stops them again: the effects of `Supervisor`.
package actor Launcher {
  /// One child as far as it is not `Supervisor`'s business.
  private struct Station {
    let child: LaunchPlan.Child
    let log: RotatingLog
    var process: ChildProcess?
    var state = StatusBoard.State.waiting
    var started: ContinuousClock.Instant?
    var end: Diagnosis.End?
    var watches: [Task<Void, Never>] = []
  }

  private let configuration: Configuration
  private let console: LaunchConsole
  private let terminal: Terminal
  private var stations: [Station]
  private var supervisor: Supervisor
  private var isUp = false
  /// Asked to stop at this time.
  private var stopping: ContinuousClock.Instant?
  private var orphanGuard: ChildProcess?
  private let deployment = UUID().uuidString
  private let events: AsyncStream<Supervisor.Event>
  private let inbox: AsyncStream<Supervisor.Event>.Continuation

  package init(_ configuration: Configuration, terminal: Terminal) {
    let console = LaunchConsole(plan: configuration.plan, terminal: terminal)
    let limits = RotatingLog.Limits(maxBytes: configuration.logs.maxBytes, keep: configuration.logs.keep)
    self.configuration = configuration
    self.console = console
    self.terminal = terminal
    stations = configuration.plan.stages.joined().map { child in
      let path = "\(configuration.logs.directory)/\(child.logFile)"
      return Station(
        child: child,
        log: RotatingLog(path: path, limits: limits) { console.logFault($0.path, $1) })
    }
    let roles = configuration.plan.roles.map { role in role.map { Deployment.Role.allCases.firstIndex(of: $0)! } ?? -1 }
    var rest = zip(roles, stations.map { $0.child.command != nil }).map(Supervisor.Child.init)[...]
    let settings = configuration.settings
    supervisor = Supervisor(
      stages: configuration.plan.stages.map { stage in
        defer { rest = rest.dropFirst(stage.count) }
        return Array(rest.prefix(stage.count))
      },
      policy: RestartPolicy(
        limit: settings.maxRestarts, backoff: .seconds(settings.backoff), backoffLimit: .seconds(settings.backoffLimit)),
      stagger: .seconds(settings.stagger))
    (events, inbox) = AsyncStream.makeStream()
  }

  /// Runs the deployment until a signal or a death that cannot be mended ends it.
  ///
  /// - Returns: The exit code: 0 after SIGINT, SIGTERM, SIGHUP or SIGUSR1, 1 if it could not start or go on.
  package func run() async -> Int32 {
    guard portsAreFree() else { return 1 }
    if let guarding = configuration.orphanGuard {
      do {
        orphanGuard = try await ChildProcess.start(guarding(deployment), environment: [:], log: nil)
      } catch {
        terminal.print("error: cannot start what watches for orphans: \(error)")
        return 1
      }
    }
    let background = [Task { await self.passOnSignals() }, Task { await self.showStatus() }]
    let exitCode = await serveEvents()
    for task in background + stations.flatMap(\.watches) { task.cancel() }
    await Self.endLeftovers(of: deployment)
    orphanGuard?.kill()
    return exitCode
  }

  private func serveEvents() async -> Int32 {
    var actions = supervisor.begin()
    var iterator = events.makeAsyncIterator()
    while true {
      for action in actions {
        if let exitCode = await perform(action) { return exitCode }
      }
      guard let event = await iterator.next() else { return 1 }
      actions = supervisor.handle(event, now: .now)
    }
  }

  private func portsAreFree() -> Bool {
    let ours = stations.map(\.child).filter { $0.command != nil }
    let wanted =
      ours.map { ($0, $0.port) }
      + configuration.sidePorts.compactMap { side in
        ours.first { $0.name == side.child }.map { ($0, side.port) }
      }
    let taken = wanted.filter { !PortCheck.isFree(host: $0.0.host, port: $0.1) }
    for (child, port) in taken { console.portTaken(port, child, by: PortCheck.holder(ofPort: port)) }
    return taken.isEmpty
  }

  /// One request to stop can come twice, to the process and to its group; a person's second comes later.
  private func passOnSignals() async {
    var earliest = ContinuousClock.now
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup, .sigusr1)
    where ContinuousClock.now >= earliest {
      inbox.yield(.stopSignal)
      earliest = .now + .seconds(1)
    }
  }

  /// Processes that left their groups would outlive us, and their guard with us.
  private static func endLeftovers(of deployment: String) async {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        OrphanGuard.endAll(of: deployment, grace: .seconds(1))
        continuation.resume()
      }
    }
  }
}

// What the supervisor wants.
extension Launcher {
  /// - Returns: The exit code, if this was the last action.
  private func perform(_ action: Supervisor.Action) async -> Int32? {
    switch action {
    case .schedule(let index, let pause): schedule(.due(index), after: pause)
    case .launch(let index, let start): await launch(index, start: start)
    case .announce:
      isUp = true
      console.up()
    case .recovered(let index): console.recovered(stations[index].child)
    case .stop(let indices): stop(indices)
    case .kill(let indices): for index in indices { stations[index].process?.kill() }
    case .report(let failure): report(failure)
    case .finish(let exitCode):
      console.finished(exitCode: exitCode)
      return exitCode
    }
    return nil
  }

  private func schedule(_ event: Supervisor.Event, after pause: Duration) {
    let inbox = inbox
    guard pause > .zero else {
      inbox.yield(event)
      return
    }
    Task {
      try? await Task.sleep(for: pause)
      inbox.yield(event)
    }
  }

  private func launch(_ index: Int, start: Int) async {
    let child = stations[index].child
    for task in stations[index].watches { task.cancel() }
    stations[index].state = .starting(nil)
    stations[index].started = .now
    stations[index].end = nil
    schedule(.deadline(index, start: start), after: .seconds(configuration.settings.readyTimeout))
    guard let command = child.command else {
      console.awaits(child)
      stations[index].watches = [awaitReady(index)]
      return
    }
    do {
      stations[index].log.append((start > 1 ? "xpyd up: start \(start) of \(child.name)\n" : "").utf8)
      let process = try await ChildProcess.start(
        command, environment: OrphanGuard.mark(deployment), log: stations[index].log)
      stations[index].process = process
      console.started(child, pid: process.pid, again: start > 1)
      stations[index].watches = [awaitReady(index)]
      awaitExit(index, process)
    } catch {
      console.couldNotStart(child, error)
      stations[index].end = .exited(127)
      inbox.yield(.exited(index))
    }
  }

  private func awaitReady(_ index: Int) -> Task<Void, Never> {
    let child = stations[index].child
    let (probe, inbox) = (configuration.probe, inbox)
    let (answers, tell) = AsyncStream<HealthProbe.Answer>.makeStream(bufferingPolicy: .bufferingNewest(1))
    Task { for await answer in answers { note(answer, of: index) } }
    return Task {
      defer { tell.finish() }
      do {
        try await probe.waitUntilReady(host: child.host, port: child.port) { tell.yield($0) }
        inbox.yield(.ready(index))
      } catch {}
    }
  }

  private func note(_ answer: HealthProbe.Answer, of index: Int) {
    guard case .starting = stations[index].state else { return }
    stations[index].state = answer == .ready ? .ready : .starting(answer)
  }

  /// Not cancelled at the end: a child is reaped, whatever happens.
  private func awaitExit(_ index: Int, _ process: ChildProcess) {
    Task {
      let end: Diagnosis.End =
        switch await process.exit.result {
        case .success(.exited(let code)): .exited(code)
        case .success(.signaled(let signal)): .signalled(signal)
        case .failure: .exited(127)
        }
      exited(index, end)
    }
  }

  private func exited(_ index: Int, _ end: Diagnosis.End) {
    for task in stations[index].watches { task.cancel() }
    stations[index].process = nil
    stations[index].state = .ended
    stations[index].end = end
    let grace = Duration.seconds(configuration.settings.grace)
    let isLate = end == .signalled(SIGKILL) && stopping.map { $0.duration(to: .now) >= grace } == true
    console.exited(stations[index].child, end, afterGrace: isLate ? grace : nil)
    inbox.yield(.exited(index))
  }

  /// Does not wait: the exits come back as events.
  private func stop(_ indices: [Int]) {
    stopping = .now
    let grace = Duration.seconds(configuration.settings.grace)
    for process in indices.compactMap({ stations[$0].process }) {
      Task { await process.stop(grace: grace) }
    }
  }

  private func report(_ failure: Supervisor.Failure) {
    func tail(_ index: Int) -> [String] { stations[index].log.lastLines(15) }
    switch failure {
    case .died(let index): console.died(stations[index].child, stations[index].end ?? .exited(127), log: tail(index))
    case .diedAndRestarts(let index, let pause, let attempt):
      stations[index].state = .restarting
      console.died(stations[index].child, stations[index].end ?? .exited(127), log: tail(index))
      console.restarts(
        stations[index].child, after: pause, attempt: attempt, of: configuration.settings.maxRestarts)
    case .crashLoop(let index, let deaths):
      console.died(stations[index].child, stations[index].end ?? .exited(127), log: tail(index))
      console.crashLoop(stations[index].child, deaths: deaths)
    case .roleIsEmpty(let index): console.roleIsEmpty(configuration.plan.roles[index])
    case .notReady(let indices):
      for index in indices {
        var answer: HealthProbe.Answer?
        if case .starting(let last) = stations[index].state { answer = last }
        console.notReady(
          stations[index].child, answer, after: .seconds(configuration.settings.readyTimeout), log: tail(index))
      }
    }
  }
}

// What is shown.
extension Launcher {
  /// On a terminal the board, every second; else a line now and then for each process that takes long to start.
  private func showStatus() async {
    var ticks = 0
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      ticks += 1
      if terminal.hasBoard { terminal.paint(board.lines) } else if !isUp, ticks % 15 == 0 { tellSlowStarts() }
    }
  }

  private func tellSlowStarts() {
    for (station, row) in zip(stations, board.rows) {
      if case .starting = row.state { console.stillStarting(station.child, row) }
    }
  }

  private var board: StatusBoard {
    StatusBoard(
      rows: stations.map { station in
        StatusBoard.Row(
          name: station.child.name, state: station.state, host: station.child.host, port: station.child.port,
          pid: station.process?.pid,
          residentBytes: station.process.map { ProcessTable.residentBytes(ofGroup: $0.pid) },
          uptime: station.process == nil ? nil : station.started.map { $0.duration(to: .now) },
          lastLine: station.log.lastLines(1).first)
      })
  }
}
