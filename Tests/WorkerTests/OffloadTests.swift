import Foundation
import KVOffload
import ServingAPI
import Testing
import Worker

/// A worker with a small pool: a repeated prompt skips its prefill, and gets the same tokens.
struct OffloadTests {
  private static let blockTokens = 16
  /// All but the last token, in whole blocks.
  private static let kept = 192

  private func worker<Result>(
    _ offload: OffloadConfiguration?, apiKeys: [String] = [], _ body: (TestWorker) async throws -> Result
  ) async throws -> Result {
    try await withWorker(configure: { configuration in
      configuration.engine.maxModelLength = 256
      configuration.poolSize = .blocks(256 / Self.blockTokens)
      configuration.offload = offload
      configuration.apiKeys = apiKeys
    }) { try await body($0) }
  }

  /// - Returns: The output's tokens.
  private func complete(
    _ worker: TestWorker, _ seed: Int64, key: String? = nil
  ) async throws -> BodyValue? {
    let prompt = BodyValue.array((0..<200).map { .integer(20 + (Int64($0) * 7 + Int64($0 * $0) * seed) % 60) })
    let answer = try await worker.post(
      "/v1/completions",
      [
        "model": "smollm2", "prompt": prompt, "max_tokens": 8, "temperature": 0, "return_token_ids": true,
        "ignore_eos": true,
      ], headers: key.map { [("Authorization", "Bearer \($0)")] } ?? [])
    #expect(answer.status == 200, "\(answer.text)")
    return answer.json["choices"]?.arrayValue?.first?["token_ids"]
  }

  private func offloaded(_ worker: TestWorker) async throws -> Int {
    Int(try await worker.metric("vllm:prompt_tokens_by_source_total", #"source="local_offload_hit""#) ?? -1)
  }

  @Test func `A repeated prompt comes from memory, and is counted`() async throws {
    try await worker(OffloadConfiguration(memoryBytes: 64 << 20)) { worker in
      let first = try await complete(worker, 1)
      // Together larger than the pool.
      for seed: Int64 in [2, 3] { _ = try await complete(worker, seed) }
      #expect(try await offloaded(worker) == 0)
      #expect(try await complete(worker, 1) == first)
      #expect(try await offloaded(worker) == Self.kept)
      #expect(try await worker.metric("xpyd:kv_offload_hits_total", #"tier="memory""#) == 12)
      #expect(try await worker.metric("xpyd:kv_offload_hits_total", #"tier="disk""#) == 0)
      #expect(try await worker.metric("xpyd:kv_offload_bytes", #"tier="memory""#) ?? 0 > 0)
    }
  }

  @Test func `Whoever has another key computes it again`() async throws {
    try await worker(OffloadConfiguration(memoryBytes: 64 << 20), apiKeys: ["one", "two"]) { worker in
      let first = try await complete(worker, 1, key: "one")
      _ = try await complete(worker, 2, key: "one")
      #expect(try await complete(worker, 1, key: "two") == first)
      #expect(worker.worker.statistics.promptTokens.offloaded == 0)
      #expect(try await complete(worker, 1, key: "one") == first)
      #expect(worker.worker.statistics.promptTokens.offloaded == Self.kept)
    }
  }

  @Test func `After a restart it comes from disk; a spoilt byte costs a prefill, and no token`() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-\(UUID().uuidString)/kv").path
    defer { try? FileManager.default.removeItem(atPath: (folder as NSString).deletingLastPathComponent) }
    let disk = OffloadConfiguration(memoryBytes: 0, disk: .init(folder: folder, bytes: 64 << 20))
    let first = try await worker(disk) { try await complete($0, 1) }
    try await worker(disk) { worker in
      let again = try await complete(worker, 1)
      #expect(again == first)
      #expect(worker.worker.statistics.promptTokens.offloaded == Self.kept)
      #expect(try await worker.metric("xpyd:kv_offload_loaded_bytes_total", #"tier="disk""#) ?? 0 > 0)
    }
    let data = try FileHandle(forUpdating: URL(fileURLWithPath: "\(folder)/xpyd-kv-0.data"))
    // In every block, whatever their order.
    let size = Int(try data.seekToEnd())
    for offset in stride(from: 100, to: size, by: 512) {
      try data.seek(toOffset: UInt64(offset))
      let byte = try data.read(upToCount: 1)![0]
      try data.seek(toOffset: UInt64(offset))
      try data.write(contentsOf: [byte ^ 1])
    }
    try data.close()
    try await worker(disk) { worker in
      let again = try await complete(worker, 1)
      #expect(again == first)
      #expect(worker.worker.statistics.promptTokens.computed == 200)
      #expect(try await worker.metric("xpyd:kv_offload_failures_total", #"error_type="corrupt""#) == 1)
    }
  }

  @Test func `Without prefix caching there is nothing to find it by, and the worker does not start`() async throws {
    await #expect(throws: WorkerError.offloadWithoutPrefixCaching) {
      try await withWorker(configure: {
        $0.offload = OffloadConfiguration(memoryBytes: 64 << 20)
        $0.engine.enablePrefixCaching = false
      }) { _ in }
    }
  }

  @Test func `LMCache's settings do the same as the flags`() async throws {
    try await withWorker(configure: { configuration in
      configuration.engine.maxModelLength = 256
      configuration.poolSize = .blocks(256 / Self.blockTokens)
      configuration.kvTransfer = try? KVTransferConfiguration(
        json: #"{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}"#,
        environment: ["LMCACHE_LOCAL_CPU": "True", "LMCACHE_MAX_LOCAL_CPU_SIZE": "0.1"])
    }) { worker in
      #expect(worker.worker.transferPort == nil)
      for seed: Int64 in [1, 2, 3, 1] { _ = try await complete(worker, seed) }
      #expect(worker.worker.statistics.promptTokens.offloaded == Self.kept)
    }
  }
}
