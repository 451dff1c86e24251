import ArgumentParser
import Bench
import Foundation

extension BenchCommand {
  /// `xpyd bench serve`: flags, table and JSON of `vllm bench serve`.
  struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure a server's throughput and latencies; a drop-in for vllm bench serve.",
      discussion: """
        Requests leave when the schedule says, whether or not earlier ones were answered, and every latency counts from \
        that moment. What each figure means is told in docs/benchmarking.md.
        """)

    @OptionGroup(title: "Server") var target: BenchTargetOptions
    @OptionGroup(title: "Workload") var workload: BenchWorkloadOptions
    @OptionGroup(title: "Load") var load: BenchLoadOptions
    @OptionGroup(title: "Results") var results: BenchResultOptions

    @Flag(inversion: .prefixedNo, help: "timed_trace: send when the trace says (default), or at --request-rate.")
    var selfTimed: Bool?

    func validate() throws {
      if selfTimed != nil, workload.datasetName != .timedTrace {
        throw ValidationError("--self-timed and --no-self-timed are for --dataset-name timed_trace.")
      }
      if followsTrace, load.requestRate != .infinity || load.rampUpStrategy != nil {
        throw ValidationError("A trace has its own times: with --request-rate or --ramp-up-* add --no-self-timed.")
      }
    }

    private var followsTrace: Bool { workload.datasetName == .timedTrace && selfTimed ?? true }

    func run() async throws {
      try results.prepare()
      let target = try await target.target()
      let tokenizer = try self.target.tokenizer(for: target)
      let workload = try workload.workload(for: target.api, tokenizer?.tokenizer)
      var options = load.options(
        for: target.api, seed: self.workload.seed, ignoresEOS: self.workload.needsWholeOutput)
      options.keepsText = results.saveDetailed
      options.tokenizer = tokenizer?.tokenizer
      var header = RunHeader(target, workload, seed: self.workload.seed)
      header.traffic = load.traffic
      if followsTrace {
        options.arrivals = .recorded(scale: 1)
        header.traffic.followsTrace = true
      }
      header.backend = self.target.backend.rawValue
      header.model = self.target.model ?? target.model
      header.tokenizer = tokenizer?.name
      try header.add(results)
      try await BenchRun(
        workload: workload, target: target, options: options, header: header, results: results,
        warmups: load.numWarmups, readySeconds: load.readyCheckTimeoutSec
      ).run()
    }
  }
}

extension RunHeader {
  /// What every command of `xpyd bench` knows of its run.
  init(_ target: Target, _ workload: Workload, seed: UInt64) {
    self.init()
    commandLine = ProcessInfo.processInfo.arguments
    version = Version.text
    startedAt = Date().formatted(.iso8601)
    self.target = target.url
    model = target.model
    self.workload = workload.description
    self.seed = seed
    requests = workload.requests.count
    client.name = ProcessInfo.processInfo.hostName
    client.processors = ProcessInfo.processInfo.activeProcessorCount
    client.system = ProcessInfo.processInfo.operatingSystemVersionString
  }

  mutating func add(_ results: BenchResultOptions) throws {
    label = results.label
    reported = try results.reported()
    metadata = try keyValues(results.metadata, flag: "--metadata").map { Metadata(key: $0.key, value: $0.value) }
  }
}
