/// What `xpyd top` shows: two snapshots, and what happened between them.
package struct FleetTable: Sendable {
  let now: FleetSnapshot
  let before: FleetSnapshot

  package init(_ now: FleetSnapshot, since before: FleetSnapshot) {
    self.now = now
    self.before = before
  }

  package func lines(width: Int) -> [String] {
    let table = [Self.heads] + now.workers.map(cells)
    let widths = Self.heads.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    let rows = table.map { cells in
      // Names to the left, figures to the right.
      zip(cells, widths).enumerated().map { column, cell in
        let space = String(repeating: " ", count: cell.1 - cell.0.count)
        return column < 2 ? cell.0 + space : space + cell.0
      }.joined(separator: "  ")
    }
    return ([summary, ""] + rows).map { String($0.prefix(width)) }
  }

  private static let heads = [
    "worker", "state", "running", "waiting", "KV use", "TTFT ms", "ITL ms", "GB/s", "moved", "errors", "preempted",
  ]

  private var seconds: Double { max(0.001, before.time.duration(to: now.time) / .seconds(1)) }

  private var summary: String {
    let outcomes = now.outcomes.sorted { $0.key < $1.key }.filter { $0.value > 0 }.map { "\($0.key) \($0.value)" }
    let done = now.outcomes.values.reduce(0, +) - before.outcomes.values.reduce(0, +)
    return
      "requests: \(now.running) running, \(now.queued) queued, \(Self.tenths(Double(max(0, done)) / seconds)) done/s"
      + (outcomes.isEmpty ? "" : "; so far \(outcomes.joined(separator: ", "))")
  }

  private func cells(_ worker: FleetSnapshot.Worker) -> [String] {
    let earlier = before.workers.first { $0.name == worker.name } ?? worker
    let moved = worker.transferBytes - earlier.transferBytes
    let busy = worker.transferSeconds - earlier.transferSeconds
    func milliseconds(_ total: FleetSnapshot.Total, _ old: FleetSnapshot.Total) -> String {
      total.mean(since: old).map { Self.tenths($0 * 1000) } ?? "-"
    }
    return [
      worker.name, worker.fault ?? "up", "\(Int(worker.running))", "\(Int(worker.waiting))",
      worker.kvUse.map { "\(Int(($0 * 100).rounded())) %" } ?? "-",
      milliseconds(worker.timeToFirstToken, earlier.timeToFirstToken),
      milliseconds(worker.interTokenLatency, earlier.interTokenLatency),
      moved > 0 && busy > 0 ? Self.tenths(moved / busy / 1e9) : "-",
      moved > 0 ? "\(Self.tenths(moved / 1e6 / seconds)) MB/s" : "-", "\(Int(worker.transferFailures))",
      "\(Int(worker.preemptions))",
    ]
  }

  private static func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
