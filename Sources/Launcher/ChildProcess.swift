import Glibc
import Subprocess
import SystemPackage

/// One running process of the deployment, from spawn to exit.
///
/// It runs in a process group of its own, so that Ctrl-C reaches the launcher alone; its standard input is a pipe
/// that only the launcher holds open, so that it notices the launcher's death, however that came (`StopOnEndOfInput`).
struct ChildProcess: Sendable {
  /// Ends when the process has ended and was reaped.
  let exit: Task<TerminationStatus, any Error>
  private let execution: Execution<FileDescriptorInput, FileDescriptorOutput, FileDescriptorOutput>
  private let lifeline: FileDescriptor

  var pid: Int32 { Int32(execution.processIdentifier.value) }

  /// - Parameter log: Receives standard output and standard error; truncated first.
  static func start(executable: FilePath, arguments: [String], log: FilePath) async throws -> ChildProcess {
    let (readEnd, lifeline) = try FileDescriptor.pipe()
    // Children are started one after the other, so none is forked before this.
    _ = fcntl(lifeline.rawValue, F_SETFD, FD_CLOEXEC)
    let output = try FileDescriptor.open(
      log, .writeOnly, options: [.create, .truncate, .append, .closeOnExec],
      permissions: [.ownerReadWrite, .groupRead, .otherRead])
    var options = PlatformOptions()
    options.processGroupID = 0
    let configuration = Configuration(
      executable: .path(executable), arguments: Arguments(arguments),
      environment: .inherit.updating([Environment.Key(stringLiteral: StopOnEndOfInput.variable): "1"]),
      platformOptions: options)

    let (started, handOver) = AsyncThrowingStream<Execution, any Error>.makeStream()
    typealias Execution = Subprocess.Execution<FileDescriptorInput, FileDescriptorOutput, FileDescriptorOutput>
    let exit = Task {
      do {
        return try await run(
          configuration, input: .fileDescriptor(readEnd, closeAfterSpawningProcess: true),
          output: .fileDescriptor(output, closeAfterSpawningProcess: false),
          error: .fileDescriptor(output, closeAfterSpawningProcess: true)
        ) { execution in
          handOver.yield(execution)
        }.terminationStatus
      } catch {
        handOver.finish(throwing: error)
        throw error
      }
    }
    for try await execution in started {
      return ChildProcess(exit: exit, execution: execution, lifeline: lifeline)
    }
    throw CancellationError()
  }

  /// Asks it to stop, waits, then ends it by force. Returns when it is gone.
  func stop(grace: Duration) async {
    await execution.teardown(using: [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: grace)])
  }

  func kill() { try? execution.send(signal: .kill, toProcessGroup: true) }
}
