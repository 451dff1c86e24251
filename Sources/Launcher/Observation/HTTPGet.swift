import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// One question over HTTP, for what is asked once a second at most.
package enum HTTPGet {
  package struct Answer: Sendable {
    package let status: Int
    package let body: Data
    /// The server's clock.
    let date: Date?
  }

  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// Waits three seconds at most.
  static func answer(to request: URLRequest) async -> Result<Answer, Failure> {
    var request = request
    request.timeoutInterval = 3
    // A task of its own, which nobody cancels: URLSession traps where a request is cancelled as it ends.
    return await Task { [request] in
      do {
        let (body, response) = try await URLSession.shared.data(for: request)
        guard let response = response as? HTTPURLResponse else { return .failure(Failure(description: "no HTTP")) }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        let date = response.value(forHTTPHeaderField: "Date").flatMap(format.date)
        return .success(Answer(status: response.statusCode, body: body, date: date))
      } catch let error as URLError {
        return .failure(Failure(description: error.code == .timedOut ? "no answer within 3 s" : "nobody listens"))
      } catch { return .failure(Failure(description: "\(error)")) }
    }.value
  }

  /// - Throws: `Failure`, also for a status that is not 200.
  static func body(of url: String) async throws(Failure) -> Data {
    guard let address = URL(string: url) else { throw Failure(description: "\(url) is no address") }
    switch await answer(to: URLRequest(url: address)) {
    case .success(let answer) where answer.status == 200: return answer.body
    case .success(let answer): throw Failure(description: "\(url) answers \(answer.status)")
    case .failure(let failure): throw Failure(description: "\(url): \(failure)")
    }
  }
}
