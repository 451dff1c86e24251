/// The samples of a `/metrics` page in Prometheus' text format.
package struct MetricsPage: Sendable {
  private let samples: [Substring: [(labels: Substring, value: Double)]]

  /// Lines that are no samples are passed over: what a worker of another make writes must not end a watch.
  package init(_ text: String) {
    var samples: [Substring: [(labels: Substring, value: Double)]] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      // A label's value may have spaces, the number behind it has none; a time stamp may follow it.
      let head = line.lastIndex(of: "}").map { line[...$0] } ?? line.prefix { $0 != " " }
      guard let value = line[head.endIndex...].split(separator: " ").first.flatMap({ Double($0) }) else { continue }
      let name = head.prefix { $0 != "{" }
      samples[name, default: []].append((head[name.endIndex...], value))
    }
    self.samples = samples
  }

  /// The sum over all series of `name` that have each of these labels; nil if there is none.
  package func sum(_ name: String, where labels: [String: String] = [:]) -> Double? {
    let wanted = labels.map { "\($0.key)=\"\($0.value)\"" }
    let found = (samples[name[...]] ?? []).filter { sample in wanted.allSatisfy { sample.labels.contains($0) } }
    return found.isEmpty ? nil : found.reduce(0) { $0 + $1.value }
  }
}
