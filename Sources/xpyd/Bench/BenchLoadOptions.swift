import ArgumentParser
import Bench
import Foundation
import NIOCore
import ServingAPI

/// How `xpyd bench` sends its requests.
struct BenchLoadOptions: ParsableArguments {
  @Option(help: "Requests/s; inf: all at once.") var requestRate = Double.infinity
  @Option(
    help: "Shape of the gaps between requests: 1 is a Poisson process, more is more regular, less comes in bursts.")
  var burstiness = 1.0
  @Option(help: "Most requests on their way at once; the others wait at the client.") var maxConcurrency: Int?
  @Option(help: "linear or exponential: raises the rate over the run.") var rampUpStrategy: RampUp.Strategy?
  @Option(help: "Requests/s at first.") var rampUpStartRps: Int?
  @Option(help: "Requests/s at last.") var rampUpEndRps: Int?
  @Option(help: "Requests that are sent first and not counted.") var numWarmups = 0
  @Option(help: "Seconds to wait for a first good answer; 0: do not ask.") var readyCheckTimeoutSec = 0.0
  @Option(help: "Seconds from sending to the answer's end at most.") var requestTimeout = 21_600.0
  @Option(help: "Share of the clients that leave before their answer has ended, from 0 to 1.")
  var requestCancellationRate = 0.0
  @Option(help: "Share of the clients that read 10 kB/s at most, from 0 to 1.") var slowReaderRate = 0.0
  @Option(help: "What request ids begin with (default: bench- and eight random digits).") var requestIDPrefix: String?

  @Flag(help: "Ask the server to go on to the output length; usual for random and traces.") var ignoreEos = false
  @Option(help: "Fields for every request's body, as a JSON object.") var extraBody: JSONObjectArgument?
  @Option(help: "Log probabilities a token, of so many candidates.") var logprobs: Int?
  @Option var temperature: Double?
  @Option var topP: Double?
  @Option var topK: Int?
  @Option var minP: Double?
  @Option var frequencyPenalty: Double?
  @Option var presencePenalty: Double?
  @Option var repetitionPenalty: Double?

  func validate() throws {
    func require(_ holds: Bool, _ flag: String, _ wanted: String, _ value: Any) throws {
      if !holds { throw ValidationError("\(flag) must be \(wanted), not \(value).") }
    }
    try require(requestRate > 0, "--request-rate", "above 0, or inf", requestRate)
    try require(burstiness > 0, "--burstiness", "above 0", burstiness)
    try require(maxConcurrency ?? 1 > 0, "--max-concurrency", "1 or more", maxConcurrency ?? 0)
    try require(numWarmups >= 0, "--num-warmups", "0 or more", numWarmups)
    try require(
      (0...1e9).contains(readyCheckTimeoutSec), "--ready-check-timeout-sec", "0 or more", readyCheckTimeoutSec)
    try require(requestTimeout > 0 && requestTimeout < 1e9, "--request-timeout", "above 0", requestTimeout)
    try require(
      (0...1).contains(requestCancellationRate), "--request-cancellation-rate", "from 0 to 1", requestCancellationRate)
    try require((0...1).contains(slowReaderRate), "--slow-reader-rate", "from 0 to 1", slowReaderRate)
    let ramp = [rampUpStartRps, rampUpEndRps]
    if rampUpStrategy != nil {
      guard ramp.allSatisfy({ $0 ?? 0 > 0 }) else {
        throw ValidationError("--ramp-up-strategy needs --ramp-up-start-rps and --ramp-up-end-rps, both 1 or more.")
      }
      try require(requestRate == .infinity, "--request-rate", "left out beside --ramp-up-strategy", requestRate)
    } else if ramp.contains(where: { $0 != nil }) {
      throw ValidationError("--ramp-up-start-rps and --ramp-up-end-rps need --ramp-up-strategy.")
    }
  }

  /// - Parameter ignoresEOS: Whether the workload needs its whole output length.
  func options(for api: Target.API, seed: UInt64, ignoresEOS: Bool) -> RunOptions {
    var options = RunOptions()
    if let rampUp {
      options.arrivals = .rampUp(rampUp, burstiness: burstiness)
    } else if requestRate.isFinite {
      options.arrivals = .gamma(rate: requestRate, burstiness: burstiness)
    }
    options.maxConcurrency = maxConcurrency
    options.requestTimeout = .nanoseconds(Int64(requestTimeout * 1e9))
    options.extraBody = body(for: api, ignoresEOS: ignoreEos || ignoresEOS)
    options.requestIDPrefix = requestIDPrefix ?? "bench-\(UUID().uuidString.lowercased().prefix(8))-"
    options.seed = seed
    options.cancellationRate = requestCancellationRate
    options.slowReaderRate = slowReaderRate
    return options
  }

  var traffic: RunHeader.Traffic {
    var traffic = RunHeader.Traffic()
    traffic.requestRate = requestRate.isFinite ? requestRate : nil
    traffic.burstiness = burstiness
    traffic.maxConcurrency = maxConcurrency
    traffic.rampUp = rampUp
    return traffic
  }

  private var rampUp: RampUp? {
    guard let rampUpStrategy, let rampUpStartRps, let rampUpEndRps else { return nil }
    return RampUp(strategy: rampUpStrategy, start: rampUpStartRps, end: rampUpEndRps)
  }

  private func body(for api: Target.API, ignoresEOS: Bool) -> BodyValue.Fields {
    var fields = BodyValue.Fields()
    let numbers = [
      ("temperature", temperature), ("top_p", topP), ("min_p", minP), ("frequency_penalty", frequencyPenalty),
      ("presence_penalty", presencePenalty), ("repetition_penalty", repetitionPenalty),
    ]
    for case (let key, let number?) in numbers { fields[key] = .number(number) }
    fields["top_k"] = topK.map { BodyValue($0) }
    switch api {
    case .completions: fields["logprobs"] = logprobs.map { BodyValue($0) }
    case .chat:
      fields["logprobs"] = logprobs.map { _ in true }
      fields["top_logprobs"] = logprobs.map { BodyValue($0) }
    }
    if ignoresEOS { fields["ignore_eos"] = true }
    for member in extraBody?.fields.members ?? [] { fields[member.key] = member.value }
    return fields
  }
}

extension RampUp.Strategy: ExpressibleByArgument {}

/// `{"key": …}`
struct JSONObjectArgument: ExpressibleByArgument {
  var fields: BodyValue.Fields

  init?(argument: String) {
    guard case .object(let fields) = try? BodyParser.parse(Array(argument.utf8)) else { return nil }
    self.fields = fields
  }
}
