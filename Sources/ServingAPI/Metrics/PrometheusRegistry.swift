import Synchronization

/// The metrics of one process or server, rendered in Prometheus' text exposition format 0.0.4.
///
/// Families render in the order of their registration, children in the order of theirs; registering the same name and
/// labels twice is our error and traps. Label values must come from closed sets: nothing is ever forgotten.
/// State: one `Mutex` here for the list, one per metric for its numbers.
package final class PrometheusRegistry: Sendable {
  package typealias Labels = [(name: String, value: String)]
  package typealias Readings = [(labels: Labels, number: Double)]

  enum Source: Sendable {
    case counter(Counter)
    case histogram(Histogram)
    case reading(@Sendable () -> Double)
    case readings(@Sendable () -> Readings)
  }

  struct Family: Sendable {
    var name: String
    var help: String
    var type: String
    /// Rendered label pairs without braces, and where the numbers come from.
    var children: [(labels: String, source: Source)]
  }

  private let constantLabels: Labels
  private let families = Mutex<[Family]>([])

  /// - Parameter constantLabels: put first on every metric whose name has the prefix `vllm:` or `xpyd:`.
  package init(constantLabels: Labels = []) {
    self.constantLabels = constantLabels
  }

  package func counter(_ name: String, help: String, labels: Labels = []) -> Counter {
    let counter = Counter()
    add(name, help, "counter", labels, .counter(counter))
    return counter
  }

  /// - Parameter buckets: upper bounds, ascending, without `+Inf`.
  package func histogram(_ name: String, help: String, buckets: [Double], labels: Labels = []) -> Histogram {
    let histogram = Histogram(bounds: buckets)
    add(name, help, "histogram", labels, .histogram(histogram))
    return histogram
  }

  /// A counter whose number somebody else keeps; read at each scrape.
  package func counter(_ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> Double) {
    add(name, help, "counter", labels, .reading(read))
  }

  /// Counters that differ in one label, whose numbers and closed set of values somebody else keeps.
  package func counters(
    _ name: String, help: String, label: String, read: @escaping @Sendable () -> [(value: String, number: Double)]
  ) {
    add(name, help, "counter", [], .readings { read().map { ([(label, $0.value)], $0.number) } })
  }

  /// A gauge whose number somebody else keeps; read at each scrape.
  package func gauge(_ name: String, help: String, labels: Labels = [], read: @escaping @Sendable () -> Double) {
    add(name, help, "gauge", labels, .reading(read))
  }

  /// Gauges of what comes and goes; whoever reads them sees to it that their labels are few over time.
  package func gauges(_ name: String, help: String, read: @escaping @Sendable () -> Readings) {
    add(name, help, "gauge", [], .readings(read))
  }

  /// The whole exposition, ending with a newline. `read` closures run outside the registry's lock.
  package func render() -> String {
    var text = ""
    for family in families.withLock({ $0 }) {
      text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
      for child in family.children { Self.render(family.name, child.labels, child.source, into: &text) }
    }
    return text
  }

  private func add(_ name: String, _ help: String, _ type: String, _ labels: Labels, _ source: Source) {
    let constant = name.contains(":") ? constantLabels : []
    let rendered = Self.render(constant + labels)
    families.withLock { families in
      guard let index = families.firstIndex(where: { $0.name == name }) else {
        families.append(Family(name: name, help: help, type: type, children: [(rendered, source)]))
        return
      }
      precondition(families[index].type == type, "\(name) is a \(families[index].type) and a \(type)")
      precondition(!families[index].children.contains { $0.labels == rendered }, "\(name){\(rendered)} is there twice")
      families[index].children.append((rendered, source))
    }
  }

  private static func render(_ name: String, _ labels: String, _ source: Source, into text: inout String) {
    let braced = labels.isEmpty ? "" : "{\(labels)}"
    switch source {
    case .counter(let counter): text += "\(name)\(braced) \(counter.value)\n"
    case .reading(let read): text += "\(name)\(braced) \(read())\n"
    case .readings(let read):
      for reading in read() {
        let own = render(reading.labels)
        text += "\(name){\(labels.isEmpty ? own : "\(labels),\(own)")} \(reading.number)\n"
      }
    case .histogram(let histogram):
      let snapshot = histogram.snapshot
      let comma = labels.isEmpty ? "" : ","
      var cumulative = 0
      for (bound, count) in zip(histogram.bounds.map { "\($0)" } + ["+Inf"], snapshot.counts) {
        cumulative += count
        text += "\(name)_bucket{\(labels)\(comma)le=\"\(bound)\"} \(Double(cumulative))\n"
      }
      text += "\(name)_count\(braced) \(Double(cumulative))\n\(name)_sum\(braced) \(snapshot.sum)\n"
    }
  }

  private static func render(_ labels: Labels) -> String {
    labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
  }

  private static func escaped(_ value: String) -> String {
    var out = ""
    for character in value.unicodeScalars {
      switch character {
      case "\\": out += "\\\\"
      case "\"": out += "\\\""
      case "\n": out += "\\n"
      default: out.unicodeScalars.append(character)
      }
    }
    return out
  }
}
