/// What the page says of one run, from what was measured down to the exact command.
struct RunSection {
  let run: RunReport

  var markup: Markup {
    let charts = run.summary.requests > 0 ? latencies + overTime : ""
    return opening + charts + figures + failures + provenance
  }

  /// What was measured, and what it showed.
  private var opening: Markup {
    let findings: [Markup] = RunVerdict(run).findings.map { "<li class=\"\($0.mood.rawValue)\">\($0.text)</li>\n" }
    return """
      <p class="what">\(description)</p>
      <ul class="findings">
      \(findings)</ul>
      <div class="tiles">
      \(tiles.map(\.markup))</div>

      """
  }

  /// What was measured, in a sentence.
  private var description: String {
    let header = run.header
    let requests = run.summary.requests == 1 ? "1 request" : "\(Quantity.count(run.summary.requests)) requests"
    let parts = [
      "\(requests) to \(header.target)", header.model.isEmpty ? nil : "model \(header.model)",
      header.workload.isEmpty ? nil : header.workload, header.traffic.words,
      header.startedAt.isEmpty ? nil : header.startedAt,
    ]
    return parts.compactMap(\.self).joined(separator: " · ")
  }

  private var tiles: [Tile] {
    let summary = run.summary
    func latency(_ metric: LatencyMetric, _ name: String) -> Tile? {
      guard let latency = summary.latencies[metric], latency.count > 0 else { return nil }
      let last = latency.percentiles.last.map {
        "P\(Quantity.digits($0.rank)) \(Quantity.time($0.milliseconds / 1000))"
      }
      return Tile(name: "median \(name)", value: Quantity.time(latency.median / 1000), more: last ?? "")
    }
    let good = summary.attainment.map { "\(Quantity.share($0)) of requests" } ?? ""
    let tiles = [
      latency(.ttft, "TTFT"), latency(.tpot, "TPOT"), latency(.e2el, "E2E latency"),
      Tile(name: "req/s", value: Quantity.digits(summary.requestThroughput)),
      summary.requestGoodput.map { Tile(name: "req/s within the SLO", value: Quantity.digits($0), more: good) },
      Tile(name: "output tokens/s", value: Quantity.digits(summary.outputThroughput)),
      Tile(name: "failed requests", value: Quantity.count(summary.failed)),
    ]
    return tiles.compactMap(\.self)
  }

  private struct Tile {
    var name: String
    var value: String
    var more = ""

    var markup: Markup { "<div><b>\(value)</b><span>\(name)</span><span>\(more)</span></div>\n" }
  }

  private var latencies: Markup {
    let charts = [
      ("Time to first token", run.charts.ttft), ("Inter-token latency", run.charts.itl),
      ("End-to-end latency", run.charts.e2el),
    ].map { DistributionChart(title: $0, series: [.init(name: "", counts: $1)]).markup }
    return """
      <h2>Latencies</h2>
      <p class="what">The share of values that is at most x.</p>
      <div class="charts">
      \(charts)</div>

      """
  }

  private var overTime: Markup {
    let load = run.charts.load
    let bin = "Bins of \(Quantity.time(load.binWidth))."
    func chart(_ title: String, _ caption: String, _ values: [Double], _ series: Int) -> Markup {
      LoadChart(
        title: title, caption: caption, values: values, binWidth: load.binWidth, duration: run.summary.duration,
        series: series
      ).markup
    }
    let failures =
      run.summary.failed == 0 ? "" : chart("Failures/s", "By the time at which they ended. \(bin)", load.failures, 3)
    return """
      <h2>Over time</h2>
      \(run.charts.timelines)\
      \(chart("Requests in flight", "The most at any moment of the bin. \(bin)", load.concurrency, 0))\
      \(chart("Requests/s", "Those that ended well. \(bin)", load.requests, 1))\
      \(failures)\
      \(chart("Output tokens/s", "Spread evenly over an answer's chunks. \(bin)", load.outputTokens, 2))
      """
  }

  private var figures: Markup {
    """
    <h2>Figures</h2>
    <pre>\(SummaryTable(run.summary, header: run.header).text)</pre>

    """
  }

  private var failures: Markup {
    guard !run.summary.failures.isEmpty else { return "" }
    let rows: [Markup] = run.summary.failures.map {
      "<tr><td>\($0.name)</td><td>\($0.count)</td><td class=\"words\"><code>\($0.firstError ?? "")</code></td></tr>\n"
    }
    return """
      <h2>Failures</h2>
      <div class="scroll"><table><tr><th>kind</th><th>requests</th><th class="words">first error</th></tr>
      \(rows)</table></div>

      """
  }

  private var provenance: Markup {
    let header = run.header
    let sources = run.summary.tokenSources.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.key.words) (\(Quantity.count($0.value)) requests)" }
    let host = [header.client.name, header.client.system, "\(header.client.processors) processors"]
    let facts = FactTable(
      facts: [
        ("xpyd", header.version), ("started", header.startedAt), ("target", header.target), ("backend", header.backend),
        ("label", header.label ?? ""), ("model", header.model), ("tokenizer", header.tokenizer ?? ""),
        ("workload", header.workload), ("arrivals", header.traffic.words), ("seed", "\(header.seed)"),
        ("output tokens by", sources.joined(separator: ", ")),
        ("client", host.filter { !$0.isEmpty }.joined(separator: ", ")),
      ] + header.metadata.map { ($0.key, $0.value) })
    return """
      <h2>Made by</h2>
      <pre>\(header.commandLine.map(Self.quoted).joined(separator: " "))</pre>
      \(facts.markup)
      """
  }

  /// As a shell takes it.
  private static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-_./:=,@+%".utf8.contains(byte)
    }
    return plain && !word.isEmpty
      ? word
      : "'"
        + word.split(separator: "'", omittingEmptySubsequences: false)
        .joined(separator: "'\\''") + "'"
  }
}

extension RunHeader.Traffic {
  /// `4 req/s, burstiness 1, at most 32 in flight`
  var words: String {
    let rate =
      if followsTrace {
        "at the trace's own times"
      } else if let rampUp {
        "\(rampUp.start) to \(rampUp.end) req/s, \(rampUp.strategy.rawValue)"
      } else if let requestRate {
        "\(Quantity.digits(requestRate)) req/s, burstiness \(Quantity.digits(burstiness))"
      } else {
        "all at once"
      }
    return rate + (maxConcurrency.map { ", at most \($0) in flight" } ?? "")
  }
}

extension RequestRecord.TokenSource {
  var words: String {
    switch self {
    case .tokenizer: "our tokenizer"
    case .usage: "the server's usage"
    case .chunks: "chunks, a lower bound"
    }
  }
}
