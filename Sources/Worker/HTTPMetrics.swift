import NIOHTTP1
import ServingAPI
import Synchronization

/// Requests by handler and class of status, and how many are being generated for now.
final class HTTPMetrics: Sendable {
  private struct Key: Hashable {
    var handler: String
    var status: String
  }

  private let counters: [Key: Counter]
  private let generating = Atomic(0)

  init(_ registry: PrometheusRegistry) {
    var counters: [Key: Counter] = [:]
    for route in Route.all + ["none"] {
      for status in ["2xx", "4xx", "5xx"] {
        counters[Key(handler: route, status: status)] = registry.counter(
          "http_requests_total", help: "Total number of requests by status and handler.",
          labels: [("handler", route), ("status", status)])
      }
    }
    self.counters = counters
  }

  /// For `/load`.
  var load: Int { generating.load(ordering: .relaxed) }
  func beginGeneration() { generating.add(1, ordering: .relaxed) }
  func endGeneration() { generating.subtract(1, ordering: .relaxed) }

  /// - Parameter route: nil if the path is none of ours.
  func count(_ route: Route?, status: HTTPResponseStatus) {
    let handler = route?.pattern ?? "none"
    counters[Key(handler: handler, status: "\(status.code / 100)xx")]?.increment()
  }
}
