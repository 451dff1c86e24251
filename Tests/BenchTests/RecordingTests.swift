import Bench
import ServingAPI
import Testing

/// What `vllm bench serve` printed and wrote, made again from the numbers that it wrote.
struct RecordingTests {
  @Test(arguments: ["single_fp32_rateinf", "pd_2p1d_toyproxy_rateinf"])
  func `The table is vLLM's to the byte`(name: String) throws {
    let (summary, header) = try recording(name)
    #expect(
      SummaryTable(summary, header: header).text == String(decoding: try Fixture.bytes("\(name).txt"), as: UTF8.self))
  }

  @Test(arguments: ["single_fp32_rateinf", "pd_2p1d_toyproxy_rateinf"])
  func `The JSON has vLLM's keys in its order, and its values`(name: String) throws {
    let (summary, header) = try recording(name)
    #expect(ResultJSON(summary, header: header).value() == (try Fixture.json("\(name).json")))
  }

  @Test func `Limits, rates and objectives have their lines where vLLM prints them`() {
    var header = SummaryTests.header
    header.reported.objectives = [ServiceObjective("ttft:300")!]
    header.reported.percentiles = [50, 99.9]
    header.reported.metrics = [.ttft, .clientQueueTime, .e2elIncludingClientQueue]
    let table = SummaryTable(RunSummary([SummaryTests.punctual], header: header), header: header).text
    #expect(
      table == """
        ============ Serving Benchmark Result ============
        Successful requests:                     1         
        Failed requests:                         0         
        Maximum request concurrency:             1         
        Request rate configured (RPS):           1.00      
        Benchmark duration (s):                  2.25      
        Total input tokens:                      10        
        Total generated tokens:                  3         
        Request throughput (req/s):              0.44      
        Request goodput (req/s):                 0.44      
        Output token throughput (tok/s):         1.33      
        Peak output token throughput (tok/s):    3.00      
        Peak concurrent requests:                1.00      
        Total token throughput (tok/s):          5.78      
        ---------------Time to First Token----------------
        Mean TTFT (ms):                          250.00    
        Median TTFT (ms):                        250.00    
        P50 TTFT (ms):                           250.00    
        P99.9 TTFT (ms):                         250.00    
        ---------------Client-side Queueing---------------
        Mean Client Queue Time (ms):             125.00    
        Median Client Queue Time (ms):           125.00    
        P50 Client Queue Time (ms):              125.00    
        P99.9 Client Queue Time (ms):            125.00    
        --------Queue-inclusive End-to-end Latency--------
        Mean E2EL incl. Client Queue (ms):       750.00    
        Median E2EL incl. Client Queue (ms):     750.00    
        P50 E2EL incl. Client Queue (ms):        750.00    
        P99.9 E2EL incl. Client Queue (ms):      750.00    
        ==================================================

        """)
  }

  @Test func `Details stand in the workload's order, and only if they are asked for`() throws {
    let records = [SummaryTests.held, SummaryTests.punctual]
    let result = ResultJSON(RunSummary(records, header: SummaryTests.header), header: SummaryTests.header)
    #expect(result.value()["ttfts"] == nil)
    let detailed = result.value(detailed: records)
    #expect(detailed["ttfts"] == [.number(0.25), .number(0.5)])
    #expect(detailed["itls"] == [[.number(0.25), .number(0.25)], [.number(0.25), .number(0.25)]])
    #expect(detailed["output_lens"] == [3, 3])
    #expect(detailed["latencies"] == [.number(0.75), .number(1)])
  }

  @Test func `The file is named as vLLM names it`() {
    var header = SummaryTests.header
    header.model = "meta-llama/Llama-3.1-8B"
    header.startedAt = "2026-11-22T23:02:05Z"
    #expect(
      ResultJSON(RunSummary(), header: header).fileName
        == "openai-1.0qps-concurrency1-Llama-3.1-8B-20261122-230205.json")
  }

  private func recording(_ name: String) throws -> (RunSummary, RunHeader) {
    let json = try Fixture.json("\(name).json")
    func number(_ key: String) -> Double { json[key]?.doubleValue ?? .nan }
    func count(_ key: String) -> Int { json[key]?.intValue ?? -1 }
    var header = RunHeader()
    header.startedAt = "2026-11-22T23:02:05Z"
    if name.hasPrefix("pd") { header.startedAt = "2026-11-22T23:29:35Z" }
    header.model = json["model_id"]?.stringValue ?? ""
    header.tokenizer = header.model
    header.requests = count("num_prompts")
    header.reported.metrics = [.ttft, .tpot, .itl, .e2el]
    var summary = RunSummary()
    summary.completed = count("completed")
    summary.failed = count("failed")
    summary.duration = number("duration")
    summary.inputTokens = count("total_input_tokens")
    summary.outputTokens = count("total_output_tokens")
    summary.requestThroughput = number("request_throughput")
    summary.outputThroughput = number("output_throughput")
    summary.totalTokenThroughput = number("total_token_throughput")
    summary.peakOutputTokensPerSecond = number("max_output_tokens_per_s")
    summary.peakConcurrentRequests = count("max_concurrent_requests")
    summary.latencyOfEachRequest = json["latencies"]?.arrayValue?.compactMap(\.doubleValue) ?? []
    summary.queueTimeOfEachRequest = json["queue_times"]?.arrayValue?.compactMap(\.doubleValue) ?? []
    for metric in header.reported.metrics {
      let key = metric.rawValue
      summary.latencies[metric] = LatencySummary(
        count: summary.completed, mean: number("mean_\(key)_ms"), median: number("median_\(key)_ms"),
        standardDeviation: number("std_\(key)_ms"),
        percentiles: [LatencySummary.Percentile(rank: 99, milliseconds: number("p99_\(key)_ms"))])
    }
    return (summary, header)
  }
}
