import Foundation
import KVBlocks
import KVTransfer
import Logging
import Proxy
import TestSupport
import Worker

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Prefillers, decoders and a proxy in this process, on the real model unless told otherwise, over real sockets.
struct Deployment: Sendable {
  static let modelName = "smollm2"

  let prefillers: [Worker]
  let decoders: [Worker]
  let proxy: Proxy

  /// Starts it, and stops it again whatever `body` does.
  static func run(
    prefillers: Int, decoders: Int, transports: TransferConfiguration.Transports,
    kv: KVLayout.ElementType = .f16, decoderKV: KVLayout.ElementType? = nil, followsPrefill: Bool = true,
    model: String? = nil, _ body: (Deployment) async throws -> Void
  ) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let prefillWorkers = try await start(prefillers, .producer, transports, kv, model, logger)
    let decodeWorkers = try await start(decoders, .consumer, transports, decoderKV ?? kv, model, logger)
    var configuration = ProxyConfiguration(
      prefillers: prefillWorkers.map { WorkerAddress(host: "127.0.0.1", port: $0.port) },
      decoders: decodeWorkers.map { WorkerAddress(host: "127.0.0.1", port: $0.port) })
    configuration.host = "127.0.0.1"
    configuration.port = 0
    configuration.statisticsSink = { _ in }
    configuration.followsPrefill = followsPrefill
    let proxy = try await Proxy.start(configuration, logger: logger)
    let deployment = Deployment(prefillers: prefillWorkers, decoders: decodeWorkers, proxy: proxy)
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(deployment)) } catch { outcome = .failure(error) }
    await proxy.shutdown(grace: .seconds(1))
    for worker in prefillWorkers + decodeWorkers { await worker.shutdown(grace: .seconds(1)) }
    try outcome.get()
  }

  /// One aggregated worker, with more compute threads than the others: the reference.
  static func single<Output: Sendable>(
    kv: KVLayout.ElementType = .f16, model: String? = nil, _ body: (Worker) async throws -> Output
  ) async throws -> Output {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var configuration = try configuration(model)
    configuration.kvElementType = kv
    configuration.threads = ProcessInfo.processInfo.activeProcessorCount
    let worker = try await Worker.start(configuration, logger: logger)
    let outcome: Result<Output, any Error>
    do { outcome = .success(try await body(worker)) } catch { outcome = .failure(error) }
    await worker.shutdown(grace: .seconds(1))
    return try outcome.get()
  }

  /// A prefiller that pushes to a decoder; nobody routes.
  static func pushing(
    transports: TransferConfiguration.Transports, _ body: (_ prefiller: Worker, _ decoder: Worker) async throws -> Void
  ) async throws {
    func start(_ role: KVTransferConfiguration.Role, _ settings: LMCachePush) async throws -> Worker {
      var configuration = try configuration(nil)
      configuration.kvTransfer = KVTransferConfiguration(role: role)
      configuration.kvTransfer?.connector = .push(settings)
      configuration.transfer.transports = transports
      return try await Worker.start(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
    let decoder = try await start(.consumer, LMCachePush(role: .receiver, port: 0))
    let prefiller = try await start(.producer, LMCachePush(role: .sender, port: decoder.transferPort ?? 0))
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(prefiller, decoder)) } catch { outcome = .failure(error) }
    for worker in [prefiller, decoder] { await worker.shutdown(grace: .seconds(1)) }
    try outcome.get()
  }

  private static func configuration(_ model: String?) throws -> WorkerConfiguration {
    var configuration = WorkerConfiguration(
      modelPath: try model ?? referenceModelPath(), servedNames: [model == nil ? modelName : "tiny"])
    configuration.engine.maxModelLength = model == nil ? 2048 : nil
    return configuration
  }

  private static func start(
    _ count: Int, _ role: KVTransferConfiguration.Role, _ transports: TransferConfiguration.Transports,
    _ kv: KVLayout.ElementType, _ model: String?, _ logger: Logger
  ) async throws -> [Worker] {
    var workers: [Worker] = []
    for _ in 0..<count {
      var configuration = try configuration(model)
      configuration.kvElementType = kv
      configuration.kvTransfer = KVTransferConfiguration(role: role)
      configuration.transfer.transports = transports
      workers.append(try await Worker.start(configuration, logger: logger))
    }
    return workers
  }
}

/// A completion as far as two answers to the same request must be equal.
struct Completion: Decodable, Equatable, Sendable {
  struct Choice: Decodable, Equatable, Sendable {
    var text: String
    var finish_reason: String
    var token_ids: [Int32]?
  }

  struct Usage: Decodable, Equatable, Sendable {
    var prompt_tokens: Int
    var completion_tokens: Int
  }

  var choices: [Choice]
  var usage: Usage
}

/// How the next token is chosen in a comparison.
struct Sampling: Sendable {
  static let greedy = Sampling(temperature: 0, seed: nil)
  static let seeded = Sampling(temperature: 0.9, seed: 1234)

  var temperature: Double
  var seed: Int?
}

/// Asks a worker or a proxy on this host.
func complete(
  port: Int, prompt: [Int32], _ sampling: Sampling, maxTokens: Int = 8, model: String = Deployment.modelName
) async throws -> Completion {
  var body: [String: Any] = [
    "model": model, "prompt": prompt.map(Int.init), "max_tokens": maxTokens,
    "temperature": sampling.temperature, "return_token_ids": true, "ignore_eos": true,
  ]
  body["seed"] = sampling.seed
  var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)/v1/completions")!)
  request.httpMethod = "POST"
  request.setValue("application/json", forHTTPHeaderField: "Content-Type")
  request.httpBody = try JSONSerialization.data(withJSONObject: body)
  request.timeoutInterval = 120
  let (data, response) = try await URLSession.shared.data(for: request)
  guard (response as? HTTPURLResponse)?.statusCode == 200 else {
    throw UnexpectedAnswer(text: String(decoding: data, as: UTF8.self))
  }
  return try JSONDecoder().decode(Completion.self, from: data)
}

struct UnexpectedAnswer: Error {
  let text: String
}
