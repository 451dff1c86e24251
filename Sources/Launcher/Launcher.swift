import Foundation
import Subprocess
import SystemPackage
import UnixSignals

/// Starts a deployment's processes, waits until they answer, and stops them again: the effects of `LaunchSequence`.
package actor Launcher {
  package struct Configuration: Sendable {
    package var plan: LaunchPlan
    /// The xpyd binary.
    package var executable: String
    package var host: String
    /// Where `prefiller1.log` … are written.
    package var logDirectory: String
    /// How long a stage may take until all of it answers `/health`.
    package var readyTimeout: Duration
    /// How long a process may take to stop before it is ended by force.
    package var grace: Duration

    package init(
      plan: LaunchPlan, executable: String, host: String, logDirectory: String, readyTimeout: Duration, grace: Duration
    ) {
      self.plan = plan
      self.executable = executable
      self.host = host
      self.logDirectory = logDirectory
      self.readyTimeout = readyTimeout
      self.grace = grace
    }
  }

  private let configuration: Configuration
  private let console: LaunchConsole
  private let children: [LaunchPlan.Child]
  private var sequence: LaunchSequence
  private var running: [Int: ChildProcess] = [:]
  private var watches: [Task<Void, Never>] = []
  private let events: AsyncStream<LaunchSequence.Event>
  private let inbox: AsyncStream<LaunchSequence.Event>.Continuation

  package init(_ configuration: Configuration, print: @escaping @Sendable (String) -> Void) {
    self.configuration = configuration
    children = configuration.plan.stages.flatMap { $0 }
    console = LaunchConsole(plan: configuration.plan, host: configuration.host, print: print)
    sequence = LaunchSequence(stageSizes: configuration.plan.stages.map(\.count))
    (events, inbox) = AsyncStream.makeStream()
  }

  /// Runs the deployment until a signal or a child's death ends it.
  ///
  /// - Returns: The exit code: 0 after SIGINT or SIGTERM, 1 if a process could not start or died.
  package func run() async -> Int32 {
    let taken = children.filter { !PortCheck.isFree(host: configuration.host, port: $0.port) }
    guard taken.isEmpty else {
      console.portsTaken(taken)
      return 1
    }
    let inbox = inbox
    let signals = Task {
      // One request to stop can come twice, to the process and to its group; a person's second comes later.
      var earliest = ContinuousClock.now
      for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) where ContinuousClock.now >= earliest {
        inbox.yield(.stopSignal)
        earliest = .now + .seconds(1)
      }
    }
    defer {
      signals.cancel()
      watches.forEach { $0.cancel() }
    }
    var actions = sequence.begin()
    var iterator = events.makeAsyncIterator()
    while true {
      for action in actions {
        if let exitCode = await perform(action) { return exitCode }
      }
      guard let event = await iterator.next() else { return 1 }
      actions = sequence.handle(event)
    }
  }

  /// - Returns: The exit code, if this was the last action.
  private func perform(_ action: LaunchSequence.Action) async -> Int32? {
    switch action {
    case .start(let stage, let children): await start(stage, children)
    case .announce: console.up()
    case .stop(let stage): stop(stage)
    case .kill(let stage): stage.forEach { running[$0]?.kill() }
    case .report(let failure): console.failed(failure, children: children, logDirectory: configuration.logDirectory)
    case .finish(let exitCode):
      console.finished(exitCode: exitCode)
      return exitCode
    }
    return nil
  }

  private func start(_ stage: Int, _ indices: [Int]) async {
    for index in indices {
      let child = children[index]
      do {
        let process = try await ChildProcess.start(
          executable: FilePath(configuration.executable), arguments: child.arguments,
          log: FilePath(configuration.logDirectory).appending(child.logFile))
        running[index] = process
        console.started(child, pid: process.pid)
        watch(index, process)
      } catch {
        console.couldNotStart(child, error)
        inbox.yield(.exited(index))
      }
    }
    let inbox = inbox
    let timeout = configuration.readyTimeout
    watches.append(
      Task {
        guard (try? await Task.sleep(for: timeout)) != nil else { return }
        inbox.yield(.deadline(stage: stage))
      })
  }

  private func watch(_ index: Int, _ process: ChildProcess) {
    let inbox = inbox
    let console = console
    let child = children[index]
    let probe = HealthProbe(host: configuration.host, port: child.port)
    let ready = Task {
      guard (try? await probe.waitUntilReady()) != nil else { return }
      inbox.yield(.ready(index))
    }
    watches.append(ready)
    // Not cancelled at the end: a child is reaped, whatever happens.
    Task {
      let status = await process.exit.result
      ready.cancel()
      console.exited(child, status)
      inbox.yield(.exited(index))
    }
  }

  /// Does not wait: the exits come back as events.
  private func stop(_ stage: [Int]) {
    for process in stage.compactMap({ running[$0] }) {
      let grace = configuration.grace
      Task { await process.stop(grace: grace) }
    }
  }
}
