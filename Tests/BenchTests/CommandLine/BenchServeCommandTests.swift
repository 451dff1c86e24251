import ArgumentParser
import Bench
import Foundation
import HTTPServer
import ServingAPI
import Testing
import xpyd

/// `xpyd bench serve` from its words to what a server is sent and what is left in files.
@Suite(.timeLimit(.minutes(5)))
struct BenchServeCommandTests {
  @Test func `Sampling flags, headers and extra fields reach the server`() async throws {
    let requests = try await requests(
      of: """
        --model m --served-model-name s --num-prompts 1 --input-len 5 --output-len 2 --temperature 0.5 --top-p 0.9 \
        --top-k 7 --min-p 0.1 --frequency-penalty 0.2 --presence-penalty 0.3 --repetition-penalty 1.1 --logprobs 2 \
        --extra-body {"seed":3,"top_k":8} --header x-a=b --request-id-prefix r-
        """)
    let request = try #require(requests.first)
    #expect(request.headers["x-a"] == ["b"] && request.headers["x-request-id"] == ["r-0"])
    let body = try BodyParser.parse(Array(request.body.readableBytesView))
    let expected: [(String, BodyValue)] = [
      ("model", "s"), ("max_tokens", 2), ("stream", true), ("temperature", .number(0.5)), ("top_p", .number(0.9)),
      ("top_k", 8),
      ("min_p", .number(0.1)), ("frequency_penalty", .number(0.2)), ("presence_penalty", .number(0.3)),
      ("repetition_penalty", .number(1.1)),
      ("logprobs", 2), ("seed", 3), ("ignore_eos", true), ("stream_options", ["include_usage": true]),
    ]
    for (key, value) in expected { #expect(body[key] == value, "\(key)") }
    #expect(body["prompt"]?.arrayValue?.count == 5)
  }

  @Test func `Chat has its own endpoint, limit and log probabilities`() async throws {
    let requests = try await requests(
      of: "--backend openai-chat --model m --num-prompts 1 --random-input-len 4 --random-output-len 2 --logprobs 3")
    let request = try #require(requests.first)
    #expect(request.path == "/v1/chat/completions")
    let body = try BodyParser.parse(Array(request.body.readableBytesView))
    #expect(body["max_completion_tokens"] == 2 && body["logprobs"] == true && body["top_logprobs"] == 3)
  }

  @Test func `Without --model the server's first is asked, once ready and warmed up`() async throws {
    let requests = try await requests(
      of: "--num-prompts 2 --random-input-len 3 --random-output-len 2 --ready-check-timeout-sec 60 --num-warmups 3")
    #expect(requests.count == 1 + 3 + 2)
    let bodies = try requests.map { try BodyParser.parse(Array($0.body.readableBytesView)) }
    #expect(bodies.allSatisfy { $0["model"] == "first" })
  }

  @Test func `Results are saved, appended and kept raw, with what the user adds`() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let words = """
      --model m --num-prompts 3 --random-input-len 3 --random-output-len 2 --save-result --save-detailed \
      --append-result --result-dir \(folder.path)/new --result-filename r.json --metadata tp=2 zone=a --label l \
      --percentile-metrics ttft,e2el --metric-percentiles 50,90 --goodput ttft:60000 --disable-tqdm \
      --raw-result \(folder.path)/raw.jsonl --report \(folder.path)/page.html
      """
    _ = try await requests(of: words)
    _ = try await requests(of: words)
    let saved = try String(contentsOfFile: "\(folder.path)/new/r.json", encoding: .utf8).split(separator: "\n")
    #expect(saved.count == 2)
    let json = try BodyParser.parse(Array(saved[1].utf8))
    #expect(json["tp"] == "2" && json["zone"] == "a" && json["label"] == "l" && json["completed"] == 3)
    #expect(json["p90_e2el_ms"] != nil && json["mean_itl_ms"] == nil && json["ttfts"]?.arrayValue?.count == 3)
    #expect(json["request_goodput"]?.doubleValue ?? 0 > 0)
    #expect(try RecordFile(path: "\(folder.path)/raw.jsonl").records().count == 3)
    #expect(try String(contentsOfFile: "\(folder.path)/page.html", encoding: .utf8).hasPrefix("<!doctype html>"))
  }

  @Test func `Failed requests end with exit code 1, unless they are allowed`() async throws {
    let words = "--model m --num-prompts 2 --random-input-len 3 --random-output-len 2 --disable-tqdm"
    let script: @Sendable (Int) -> ScriptedServer.Script = {
      $0 == 0 ? .status(503, "") : .streams(ScriptedServer.answer)
    }
    await #expect(throws: ExitCode(1)) { try await requests(of: words, script) }
    #expect(try await requests(of: words + " --allow-failures", script).count == 2)
  }

  @Test func `Clients that leave are no failure`() async throws {
    let requests = try await requests(
      of: "--model m --num-prompts 4 --random-input-len 3 --random-output-len 2 --request-cancellation-rate 1",
      { _ in .hangs })
    #expect(requests.count <= 4)
  }

  @Test func `A folder that cannot be written to is told before the first request`() async throws {
    let words = "--model m --num-prompts 1 --random-input-len 3 --save-result --result-dir /dev/null/no"
    try await ScriptedServer.run({ _ in .streams(ScriptedServer.answer) }) { server, target in
      await #expect(throws: (any Error).self) { try await run(words, target) }
      #expect(server.requests.entries.isEmpty)
    }
  }

  /// What a server got from a run with these words.
  private func requests(
    of words: String,
    _ script: @escaping @Sendable (Int) -> ScriptedServer.Script = { _ in .streams(ScriptedServer.answer) }
  ) async throws -> [HTTPRequest] {
    var requests: [HTTPRequest] = []
    try await ScriptedServer.run(script) { server, target in
      try await run(words, target)
      requests = server.requests.entries
    }
    return requests
  }

  private func run(_ words: String, _ target: Target) async throws {
    let command = try XPYD.parseAsRoot(
      ["bench", "serve", "--base-url", target.base.description] + words.split(separator: " ").map(String.init))
    var serve = try #require(command as? any AsyncParsableCommand)
    try await serve.run()
  }
}
