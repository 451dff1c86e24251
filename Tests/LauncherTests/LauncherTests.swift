import Foundation
import Synchronization
import TestSupport
import Testing

import Launcher

/// Runs the launcher over programs that are not xpyd: what it must see is their exit, their log and their silence.
struct LauncherTests {
  /// A deployment whose processes are shell scripts by name, and whose `/health` is what the test says.
  private final class Bench: Sendable {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("launcher-\(UUID())").path
    let printed = Mutex("")
    private let ports = [RefusingPort(), RefusingPort(), RefusingPort()]

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Shell words that wait until the launcher says that all is up.
    var whenUp: String { "while ! [ -e \(folder)/up ]; do sleep 0.02; done;" }
    var text: String { printed.withLock { $0 } }
    func port(_ name: String) -> Int { ports[["decoder", "prefiller1", "proxy"].firstIndex(of: name)!].number }

    /// - Parameter scripts: What a process does, by its name; one that is not named reads its standard input for ever.
    func run(
      _ scripts: [String: String] = [:], health: HealthProbe.Answer = .ready,
      configure: (inout Launcher.Configuration) -> Void = { _ in }, settings: (inout Deployment) -> Void = { _ in }
    ) async throws -> Int32 {
      var deployment = Deployment(
        try Topology("1p1d"), model: "m", servedModelNames: ["m"], prefillerPort: port("prefiller1"),
        decoderPort: port("decoder"))
      deployment.proxy.port = port("proxy")
      deployment.logs.directory = folder
      deployment.supervision.backoff = 0
      deployment.supervision.maxRestarts = 2
      settings(&deployment)
      let program = "\(folder)/program"
      let cases = scripts.map { "*--port\\ \(port($0.key))*) \($0.value) ;;\n" }.sorted().joined()
      // `proxy --port …` and `serve m … --port …` name themselves by their port.
      try "#!/bin/sh\ncase \"$*\" in\n\(cases)esac\nexec cat\n".write(
        toFile: program, atomically: true, encoding: .utf8)
      chmod(program, 0o755)
      var configuration = Launcher.Configuration(
        plan: LaunchPlan(deployment, programs: .init(xpyd: program)), settings: deployment.supervision,
        logs: deployment.logs)
      configuration.probe = HealthProbe { _, _ in health }
      configure(&configuration)
      let terminal = Terminal(width: nil) { text in
        self.printed.withLock { $0 += text }
        if text.contains("All servers are up") {
          FileManager.default.createFile(atPath: "\(self.folder)/up", contents: nil)
        }
      }
      return await Launcher(configuration, terminal: terminal).run()
    }
  }

  @Test func `A child that ends at once is shown with cause, remedy and log, and the exit code is 1`() async throws {
    let bench = try Bench()
    let code = try await bench.run(
      ["decoder": "echo 'error: unrecognized arguments: --fast'; exit 2"], health: .nothing("nobody listens"))
    #expect(code == 1)
    #expect(bench.text.contains("error: decoder ended unexpectedly."))
    #expect(bench.text.contains("  Cause: it does not know one of its arguments."))
    #expect(bench.text.contains("  Remedy: look at what stands after --"))
    #expect(bench.text.contains("  | error: unrecognized arguments: --fast"))
    #expect(!bench.text.contains("starting prefiller1"))
  }

  @Test func `A child that never answers is named when its time is up, and stopped`() async throws {
    let bench = try Bench()
    let code = try await bench.run(health: .status(503)) { _ in
    } settings: {
      $0.supervision.readyTimeout = 0.05
    }
    #expect(code == 1)
    #expect(bench.text.contains("error: decoder did not answer /health in time (--ready-timeout, 0.05 seconds)."))
    #expect(bench.text.contains("decoder was ended by signal 15"))
  }

  @Test func `A program that is not there is an error with its path`() async throws {
    let bench = try Bench()
    let code = try await bench.run(configure: { configuration in
      let plan = try! Topology("1p1d")
      let deployment = Deployment(
        plan, model: "m", servedModelNames: ["m"], prefillerPort: bench.port("prefiller1"),
        decoderPort: bench.port("decoder"))
      configuration.plan = LaunchPlan(deployment, programs: .init(xpyd: "/no/such/xpyd"))
    })
    #expect(code == 1)
    #expect(bench.text.contains("error: cannot start decoder"))
    #expect(bench.text.contains("The program is /no/such/xpyd: check that it is there and may be run."))
  }

  @Test func `A port that is taken is named with its holder before anything starts`() async throws {
    let bench = try Bench()
    let holder = ListeningPort()
    let code = try await bench.run(configure: { $0.sidePorts = [("decoder", holder.number)] })
    #expect(code == 1)
    #expect(
      bench.text.contains(
        "error: port \(holder.number) on 127.0.0.1, wanted for decoder, is in use by pid \(getpid()) ("))
    #expect(!bench.text.contains("starting"))
    withExtendedLifetime(holder) {}
  }

  @Test func `A crash loop of the proxy ends with its cause, and nothing is left`() async throws {
    let bench = try Bench()
    let code = try await bench.run(["proxy": "\(bench.whenUp) echo 'OSError: Too many open files'; exit 3"])
    #expect(code == 1)
    #expect(bench.text.contains("  restart 2 of 2 in 0.0 seconds"))
    #expect(bench.text.contains("  Remedy: raise the limit: ulimit -n 65536."))
    #expect(bench.text.contains("error: proxy has died 3 times in a row (--max-restarts) and is given up."))
    #expect(bench.text.contains("error: there is no proxy left: everything is stopped"))
    #expect(bench.text.contains("xpyd up: all stopped, exit code 1"))
  }

  @Test func `A log that cannot be written is told, and the process goes on`() async throws {
    let bench = try Bench()
    try FileManager.default.createSymbolicLink(
      atPath: "\(bench.folder)/decoder.log", withDestinationPath: "/dev/full")
    let code = try await bench.run([
      "decoder": "echo hello; exec cat", "proxy": "\(bench.whenUp) exit 1",
    ]) { _ in
    } settings: {
      $0.supervision.maxRestarts = 0
    }
    #expect(code == 1)
    #expect(bench.text.contains("error: cannot write \(bench.folder)/decoder.log: No space left on device."))
    #expect(bench.text.contains("starting prefiller1"))
    #expect(bench.text.contains("decoder was ended by signal 15"))
  }

  @Test func `A process that ignores the request to stop is ended by force, and this is said`() async throws {
    let bench = try Bench()
    let code = try await bench.run([
      "decoder": "trap '' TERM; echo deaf; while read line; do :; done; while :; do sleep 0.05; done",
      "proxy": "\(bench.whenUp) while ! grep -q deaf \(bench.folder)/decoder.log; do sleep 0.02; done; exit 1",
    ]) { _ in
    } settings: {
      $0.supervision.maxRestarts = 0
      $0.supervision.grace = 0.2
    }
    #expect(code == 1)
    #expect(bench.text.contains("decoder was ended by signal 9 (it did not stop within 0.2 seconds)"))
  }

  @Test func `What a process started is ended with it`() async throws {
    let bench = try Bench()
    let pid = "\(bench.folder)/pid"
    let code = try await bench.run(
      ["decoder": "sleep 1000 & echo $! > \(pid); exit 1"], health: .nothing("nobody listens"))
    #expect(code == 1)
    let child = try #require(Int32(try String(contentsOfFile: pid, encoding: .utf8).trimmingCharacters(in: .newlines)))
    // Gone, or waiting for its new parent to reap it.
    let state = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)
    #expect(state == nil || state!.contains(") Z "))
  }
}

/// A port of 127.0.0.1 that this process listens on.
private final class ListeningPort: Sendable {
  let number: Int
  private let descriptor: Int32

  init() {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    number = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        guard bind(descriptor, $0, length) == 0, listen(descriptor, 1) == 0 else { fatalError("no port") }
        getsockname(descriptor, $0, &length)
      }
      return Int(in_port_t(bigEndian: pointer.pointee.sin_port))
    }
  }

  deinit { close(descriptor) }
}
