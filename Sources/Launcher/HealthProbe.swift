import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Asks a child's `/health` until it answers 200.
struct HealthProbe: Sendable {
  let host: String
  let port: Int
  var interval = Duration.milliseconds(50)

  /// Returns when the child is ready; throws only when cancelled.
  func waitUntilReady() async throws {
    while try await !isReady() {
      try await Task.sleep(for: interval)
    }
  }

  private func isReady() async throws -> Bool {
    try Task.checkCancellation()
    var request = URLRequest(url: URL(string: "http://\(host):\(port)/health")!)
    request.timeoutInterval = 2
    // A task of its own, which nobody cancels: URLSession traps where a request is cancelled as it ends.
    return await Task { [request] in
      guard let (_, response) = try? await URLSession.shared.data(for: request) else { return false }
      return (response as? HTTPURLResponse)?.statusCode == 200
    }.value
  }
}
