import Bench
import Foundation
import Tokenization

/// What all runs of a sweep or a comparison have in common.
struct BenchSetup {
  let target: BenchTargetOptions
  let workload: BenchWorkloadOptions
  let load: BenchLoadOptions
  let results: BenchReportOptions
  private let tokenizer: (name: String, tokenizer: Tokenizer)?

  /// - Parameter first: The target whose model names the tokenizer, if nothing else does.
  init(
    _ target: BenchTargetOptions, _ workload: BenchWorkloadOptions, _ load: BenchLoadOptions,
    _ results: BenchReportOptions, first: Target
  ) throws {
    self.target = target
    self.workload = workload
    self.load = load
    self.results = results
    tokenizer = try target.tokenizer(for: first)
  }

  /// Waits until the target answers, and warms it up, as far as was asked.
  func prepare(_ target: Target) async throws {
    guard load.readyCheckTimeoutSec > 0 || load.numWarmups > 0 else { return }
    var few = workload
    // Not a prompt of the first run, which a prefix cache would then know.
    few.seed &-= 1
    let workload = try few.workload(for: target.api, tokenizer?.tokenizer)
    let options = options(seed: few.seed)
    if load.readyCheckTimeoutSec > 0 {
      try await waitUntilReady(workload, against: target, options: options, seconds: load.readyCheckTimeoutSec)
    }
    if load.numWarmups > 0 { try await warmUp(load.numWarmups, workload, against: target, options: options) }
  }

  /// - Parameters:
  ///   - number: Of the run, from 0. Its seed is the user's and this: no two runs send the same prompts, so that none
  ///     finds those of another in a prefix cache.
  ///   - rate: Requests/s, if not as the user said.
  ///   - requests: How many, if not as the user said.
  func point(_ target: Target, number: Int, rate: Double? = nil, requests: Int? = nil) throws -> BenchPoint {
    var its = workload
    its.seed = workload.seed &+ UInt64(number)
    its.numPrompts = requests ?? workload.numPrompts
    let workload = try its.workload(for: target.api, tokenizer?.tokenizer)
    var header = RunHeader(target, workload, seed: its.seed)
    header.backend = self.target.backend.rawValue
    header.tokenizer = tokenizer?.name
    header.metadata = try keyValues(results.metadata, flag: "--metadata").map { .init(key: $0.key, value: $0.value) }
    header.traffic = load.traffic
    var options = options(seed: its.seed)
    if let rate {
      header.traffic.requestRate = rate
      options.arrivals = .gamma(rate: rate, burstiness: load.burstiness)
    } else if its.datasetName == .timedTrace, header.traffic.requestRate == nil, header.traffic.rampUp == nil {
      header.traffic.followsTrace = true
      options.arrivals = .recorded(scale: 1)
    }
    return BenchPoint(
      workload: workload, target: target, options: options, header: header, showsProgress: !results.disableTqdm)
  }

  private func options(seed: UInt64) -> RunOptions {
    var options = load.options(
      for: target.backend.api, seed: seed, ignoresEOS: workload.needsWholeOutput)
    options.tokenizer = tokenizer?.tokenizer
    return options
  }
}
