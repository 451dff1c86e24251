import Engine
import KVTransfer
import Logging
import ServingAPI
import TestSupport

import Worker

/// A worker in this process on the tiny model, and a client of it.
struct TestWorker: Sendable {
  let worker: Worker

  func get(_ path: String, headers: [(String, String)] = []) async throws -> Answer {
    try await send("GET", path, headers: headers, body: [])
  }

  func post(_ path: String, _ body: BodyValue, headers: [(String, String)] = []) async throws -> Answer {
    try await send("POST", path, headers: [("Content-Type", "application/json")] + headers, body: body.encoded)
  }

  func complete(_ body: BodyValue) async throws -> Answer { try await post("/v1/completions", body) }

  func send(_ method: String, _ path: String, headers: [(String, String)], body: [UInt8]) async throws -> Answer {
    let client = try await RawClient.connect(port: worker.port)
    try await client.send(Self.request(method, path, headers: headers, body: body))
    let bytes = try await client.read { Answer($0) != nil }
    await client.close()
    guard let answer = Answer(bytes, connectionEnded: true) else { throw NoAnswer(bytes: bytes.count) }
    return answer
  }

  static func request(_ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]) -> [UInt8] {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: worker\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if method == "POST" { head += "Content-Length: \(body.count)\r\n" }
    return Array("\(head)\r\n".utf8) + body
  }

  /// Waits until the pool is as empty as at the start: every block free or cached.
  func poolIsFree() async throws -> Bool {
    try await eventually { worker.statistics.freeBlocks == worker.statistics.totalBlocks }
  }

  /// Looks again after each round trip to the worker, for so many of them at most.
  func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<10_000 {
      if try await condition() { return true }
      _ = try await get("/ping")
    }
    return false
  }

  /// The value of the first line of `/metrics` that has this name and these labels, in the order of the exposition.
  func metric(_ name: String, _ labels: String = "") async throws -> Double? {
    let constant = #"engine="0",model_name="smollm2""#
    let series = "\(name){\(labels.isEmpty ? constant : "\(constant),\(labels)")} "
    let line = try await get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(series) }
    return line.flatMap { Double($0.dropFirst(series.count)) }
  }
}

struct NoAnswer: Error { var bytes: Int }

/// One file for all tests: the same weights each time.
private let tinyModel: TemporaryFile = {
  var model = TinyModel()
  model.contextLength = 4096
  return model.write()
}()

/// Starts a worker, runs `body`, stops the worker whatever happens.
func withWorker<Result>(
  _ role: KVTransferConfiguration.Role? = nil, configure: (inout WorkerConfiguration) -> Void = { _ in },
  _ body: (TestWorker) async throws -> Result
) async throws -> Result {
  var configuration = WorkerConfiguration(modelPath: tinyModel.path, servedNames: ["smollm2"])
  configuration.kvTransfer = role.map { KVTransferConfiguration(role: $0) }
  configuration.poolSize = .blocks(1024)
  configuration.version = "1.2.3"
  configure(&configuration)
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  let worker = try await Worker.start(configuration, logger: logger)
  do {
    let result = try await body(TestWorker(worker: worker))
    await worker.shutdown(grace: .zero)
    return result
  } catch {
    await worker.shutdown(grace: .zero)
    throw error
  }
}
