import HTTPServer
import NIOCore
import ServingAPI
import Synchronization

/// Where spans go.
package struct TracingSettings: Sendable {
  /// `http://collector:4318/v1/traces`
  package var endpoint: OutboundURL
  package var service = "xpyd-proxy"
  /// Sent along, such as a key.
  package var fields: [(name: String, value: String)] = []
  /// How long spans wait for others.
  package var interval = Duration.seconds(1)
  /// Spans that wait; one more is dropped and counted. The number is OpenTelemetry's.
  package var mostWaiting = 2048

  package init(endpoint: OutboundURL) { self.endpoint = endpoint }
}

/// Sends spans to a collector by OTLP over HTTP, in batches. What the collector does not take is dropped and counted: no
/// request ever waits for it. A `Mutex` guards the queue.
final class SpanExporter: Sendable {
  private enum Loss: String, CaseIterable {
    case queueFull = "queue_full"
    case exportFailed = "export_failed"
  }

  private static let batch = 512
  private let settings: TracingSettings
  private let version: String
  private let waiting = Mutex<[Span]>([])
  private let exported: Counter
  private let lost: [Loss: Counter]

  init(_ settings: TracingSettings, version: String, registry: PrometheusRegistry) {
    self.settings = settings
    self.version = version
    exported = registry.counter("xpyd:proxy_spans_exported_total", help: "Spans that the collector took.")
    lost = Dictionary(
      uniqueKeysWithValues: Loss.allCases.map { reason in
        let counter = registry.counter(
          "xpyd:proxy_spans_dropped_total", help: "Spans that nobody got, by reason.",
          labels: [("reason", reason.rawValue)])
        return (reason, counter)
      })
  }

  func add(_ spans: [Span]) {
    let dropped = waiting.withLock { waiting in
      let room = max(0, settings.mostWaiting - waiting.count)
      waiting += spans.prefix(room)
      return max(0, spans.count - room)
    }
    if dropped > 0 { lost[.queueFull]?.increment(by: Double(dropped)) }
  }

  /// Until the task is cancelled; then sends what is left, once.
  func run() async {
    while (try? await Task.sleep(for: settings.interval)) != nil {
      while waiting.withLock({ !$0.isEmpty }), !Task.isCancelled { await send(idle: .seconds(10)) }
    }
    await Task { await self.send(idle: .seconds(2)) }.value
  }

  private func send(idle: Duration) async {
    let spans = waiting.withLock { waiting in
      let batch = Array(waiting.prefix(Self.batch))
      waiting.removeFirst(batch.count)
      return batch
    }
    guard !spans.isEmpty else { return }
    var request = OutboundRequest(
      url: settings.endpoint, target: settings.endpoint.path.isEmpty ? "/" : settings.endpoint.path)
    request.method = "POST"
    request.fields = [("content-type", "application/json")] + settings.fields
    request.body = ByteBuffer(bytes: Span.request(spans, service: settings.service, version: version).encoded)
    request.idle = idle
    do {
      try await request.send { part in
        if case .status(let status) = part, !(200..<300).contains(status) { throw NotTaken(status: status) }
      }
      exported.increment(by: Double(spans.count))
    } catch {
      lost[.exportFailed]?.increment(by: Double(spans.count))
    }
  }

  private struct NotTaken: Error {
    let status: Int
  }
}
