import Engine
import KVBlocks
import KVOffload
import KVTransfer
import Logging
import Models
import TestSupport
import Testing

/// What keeps an engine's evicted blocks, once there is a pool.
struct Offload {
  var store: (KVMemory) throws -> OffloadStore
}

/// An engine with a fake model, and how a test uses it.
struct TestEngine {
  let engine: Engine

  init(
    blocks: Int = 64, blockSize: Int = 4, contextLength: Int = 512, network: FakeNetwork? = nil,
    gate: StepGate? = nil, offload: Offload? = nil, _ configure: (inout EngineConfiguration) -> Void = { _ in },
    transport: ((KVMemory) throws -> any KVTransport)? = nil
  ) throws {
    var configuration = EngineConfiguration()
    configure(&configuration)
    let memory = try KVMemory(layout: FakeModel.layout(blockSize: blockSize), blockCount: blocks)
    var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    logger.logLevel = .critical
    engine = Engine(
      model: FakeModel(blockSize: blockSize, contextLength: contextLength, gate: gate), kv: memory,
      configuration: configuration, transport: try transport?(memory) ?? network?.transport(for: memory),
      offload: try offload?.store(memory),
      logger: logger)
  }

  /// One whose longest sequence takes it many seconds: what ends earlier was ended.
  static func endless(network: FakeNetwork? = nil, gate: StepGate? = nil) throws -> TestEngine {
    try TestEngine(blocks: 4096, blockSize: 16, contextLength: .max, network: network, gate: gate)
  }

  func run(_ request: GenerationRequest) async throws -> Output { await collect(try engine.submit(request)) }

  /// Returns when every message that was sent before has been seen, with the figures then.
  func settled() async throws -> EngineStatistics {
    var sampling = SamplingParameters()
    sampling.maxTokens = 1
    // One token shares no full block with anybody.
    _ = try await run(GenerationRequest(id: "settle", promptTokens: [1], sampling: sampling))
    return engine.statistics
  }

  /// Nothing is held any more.
  func expectAllFree(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let statistics = try await settled()
    #expect(statistics.freeBlocks == statistics.totalBlocks, sourceLocation: sourceLocation)
    #expect(statistics.running == 0 && statistics.waiting == 0, sourceLocation: sourceLocation)
    #expect(statistics.pulling == 0 && statistics.published == 0, sourceLocation: sourceLocation)
  }
}

/// All that a request's stream yielded.
struct Output: Sendable {
  var tokens: [GeneratedToken] = []
  var results: [GenerationResult] = []
  var tickets: [KVHandoff] = []
  var promptScores: [[TokenLogprobs]] = []
  var hiddenStates: [[Float]] = []
  /// Tokens that came after a `finished`.
  var lateTokens = 0

  var ids: [Int32] { tokens.map(\.id) }
  /// An error if the stream ended without `finished`, as it does when the test is cancelled.
  var result: GenerationResult {
    results.first ?? GenerationResult(reason: .error("no finished came"), timings: RequestTimings(queued: .now))
  }

  mutating func add(_ event: TokenEvent) {
    switch event {
    case .handoff(let handoff): tickets.append(handoff)
    case .prompt(let scores): promptScores.append(scores)
    case .hiddenState(let values): hiddenStates.append(values)
    case .token(let token):
      if !results.isEmpty { lateTokens += 1 }
      tokens.append(token)
    case .finished(let result): results.append(result)
    }
  }
}

func collect(_ stream: AsyncStream<TokenEvent>) async -> Output {
  var output = Output()
  for await event in stream { output.add(event) }
  return output
}

/// A prompt that only `length` and `seed` decide.
func prompt(_ length: Int, seed: UInt64 = 0) -> [Int32] {
  var random = SplitMix64(seed: seed &* 1_000_003 &+ UInt64(length))
  return (0..<length).map { _ in Int32.random(in: 0..<Int32(FakeModel.vocabularySize), using: &random) }
}

func greedy(_ maxTokens: Int) -> SamplingParameters {
  var parameters = SamplingParameters()
  parameters.temperature = 0
  parameters.maxTokens = maxTokens
  return parameters
}

func seeded(_ maxTokens: Int, seed: UInt64) -> SamplingParameters {
  var parameters = SamplingParameters()
  parameters.seed = seed
  parameters.maxTokens = maxTokens
  parameters.topP = 0.9
  parameters.topK = 50
  return parameters
}
