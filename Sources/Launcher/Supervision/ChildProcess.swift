import Foundation
import Subprocess
import SystemPackage

/// One running process of the deployment, from spawn to exit.
///
/// It runs in a process group of its own, so that Ctrl-C reaches the launcher alone; its standard input is a pipe
/// that only the launcher holds open, so that it notices the launcher's death, however that came (`StopOnEndOfInput`).
struct ChildProcess: Sendable {
  /// Ends when the process has ended and was reaped, and nothing is left of its group.
  let exit: Task<TerminationStatus, any Error>
  private let execution: Execution<FileDescriptorInput, FileDescriptorOutput, FileDescriptorOutput>

  var pid: Int32 { Int32(execution.processIdentifier.value) }

  /// - Parameters:
  ///   - environment: On top of ours.
  ///   - log: Receives standard output and standard error.
  static func start(
    _ command: LaunchPlan.Command, environment: [String: String], log: RotatingLog?
  ) async throws -> ChildProcess {
    let (readEnd, lifeline) = try FileDescriptor.pipe()
    // Children are started one after the other, so none is forked before this.
    _ = fcntl(lifeline.rawValue, F_SETFD, FD_CLOEXEC)
    let (output, drained) = try outputs(to: log)
    var options = PlatformOptions()
    options.processGroupID = 0
    let own = environment.merging([StopOnEndOfInput.variable: "1"]) { $1 }
    let variables = command.environment.merging(own) { $1 }
      .map { (Environment.Key(stringLiteral: $0.key), Optional($0.value)) }
    let configuration = Configuration(
      executable: .path(FilePath(command.executable)), arguments: Arguments(command.arguments),
      environment: .inherit.updating(Dictionary(uniqueKeysWithValues: variables)), platformOptions: options)

    let (started, handOver) = AsyncThrowingStream<Execution, any Error>.makeStream()
    typealias Execution = Subprocess.Execution<FileDescriptorInput, FileDescriptorOutput, FileDescriptorOutput>
    let exit = Task {
      defer { try? lifeline.close() }
      do {
        let result = try await run(
          configuration, input: .fileDescriptor(readEnd, closeAfterSpawningProcess: true),
          output: .fileDescriptor(output, closeAfterSpawningProcess: false),
          error: .fileDescriptor(output, closeAfterSpawningProcess: true)
        ) { execution in
          handOver.yield(execution)
        }
        killRest(ofGroup: Int32(result.processIdentifier.value))
        await drained.wait()
        return result.terminationStatus
      } catch {
        handOver.finish(throwing: error)
        throw error
      }
    }
    for try await execution in started {
      return ChildProcess(exit: exit, execution: execution)
    }
    throw CancellationError()
  }

  /// Asks it to stop, waits, then ends it by force. Returns when it is gone.
  func stop(grace: Duration) async {
    await execution.teardown(using: [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: grace)])
  }

  func kill() { try? execution.send(signal: .kill, toProcessGroup: true) }

  /// What a process leaves behind, such as vLLM's engine, must not hold its port and memory when it starts again.
  private static func killRest(ofGroup pid: Int32) { Glibc.kill(-pid, SIGKILL) }

  /// The write end of a pipe that a thread reads into the log until all who write to it are gone.
  private static func outputs(to log: RotatingLog?) throws -> (FileDescriptor, Drained) {
    let drained = Drained()
    guard let log else {
      drained.finish()
      return (try FileDescriptor.open("/dev/null", .writeOnly, options: .closeOnExec), drained)
    }
    let (source, sink) = try FileDescriptor.pipe()
    for end in [source, sink] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    let reader = Thread {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 1)
      defer { buffer.deallocate() }
      while let count = try? source.read(into: buffer), count > 0 { log.append(buffer[..<count]) }
      try? source.close()
      drained.finish()
    }
    reader.stackSize = 256 << 10
    reader.start()
    return (sink, drained)
  }
}

/// All that a process has written is in its log.
private struct Drained: Sendable {
  private let stream: AsyncStream<Never>
  private let continuation: AsyncStream<Never>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func finish() { continuation.finish() }

  /// At most a second: a process that left the group may hold the pipe open.
  func wait() async {
    let limit = Task {
      try? await Task.sleep(for: .seconds(1))
      finish()
    }
    for await _ in stream {}
    limit.cancel()
  }
}
