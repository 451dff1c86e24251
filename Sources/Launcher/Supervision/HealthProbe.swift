import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Asks a process's `/health`.
package struct HealthProbe: Sendable {
  package enum Answer: Equatable, Sendable {
    case ready
    case status(Int)
    /// Nobody listens, or nothing came within two seconds: the system's words.
    case nothing(String)
  }

  package var ask: @Sendable (_ host: String, _ port: Int) async -> Answer
  /// Doubled from question to question, up to half a second.
  package var firstPause = Duration.milliseconds(50)

  package init(ask: @escaping @Sendable (_ host: String, _ port: Int) async -> Answer = overHTTP) { self.ask = ask }

  /// Returns when the process is ready; throws only when cancelled.
  func waitUntilReady(host: String, port: Int, each: (Answer) -> Void) async throws {
    var pause = firstPause
    while true {
      try Task.checkCancellation()
      let answer = await ask(host, port)
      each(answer)
      if answer == .ready { return }
      try await Task.sleep(for: pause)
      pause = min(pause * 2, .milliseconds(500))
    }
  }

  /// 200 is ready.
  @Sendable package static func overHTTP(host: String, port: Int) async -> Answer {
    let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    guard let url = URL(string: "http://\(authority)/health") else { return .nothing("\(authority) is no address") }
    // A task of its own, which nobody cancels: URLSession traps where a request is cancelled as it ends.
    return await Task {
      var request = URLRequest(url: url)
      request.timeoutInterval = 2
      do {
        let status = (try await URLSession.shared.data(for: request).1 as? HTTPURLResponse)?.statusCode ?? 0
        return status == 200 ? Answer.ready : .status(status)
      } catch let error as URLError {
        return .nothing(error.code == .timedOut ? "no answer within 2 s" : "nobody listens")
      } catch {
        return .nothing("\(error)")
      }
    }.value
  }
}
