import HTTPTestSupport
import NIOCore
import Proxy
import Testing

@Suite struct PairingTests {
  @Test(
    arguments: [
      (["a"], [1], 3, ["a:1", "a:2", "a:3"]),
      (["a"], [1, 5], 1, ["a:1", "a:5"]),
      (["a", "b"], [1], 2, ["a:1", "b:1"]),
      (["a", "b"], [1, 2], 1, ["a:1", "b:2"]),
      (["a"], [1], 0, []),
    ] as [([String], [Int], Int, [String])])
  func `Hosts and ports are paired by the example's four rules`(
    hosts: [String], ports: [Int], count: Int, expected: [String]
  ) throws {
    #expect(try WorkerAddress.pair(hosts: hosts, ports: ports, count: count).map(\.description) == expected)
  }

  @Test(
    arguments: [
      (["a", "b"], [1, 2, 3], 1, PairingError.lengths(hosts: 2, ports: 3)),
      (["a"], [1, 2], 3, .wanted(3, named: 2)),
      (["a"], [65_535], 2, .port(65_536)),
      (["a"], [0], 1, .port(0)),
      ([""], [1], 1, .empty),
      (["a"], [1], -1, .count(-1)),
    ] as [([String], [Int], Int, PairingError)])
  func `What cannot be paired says why`(hosts: [String], ports: [Int], count: Int, error: PairingError) {
    #expect(throws: error) { try WorkerAddress.pair(hosts: hosts, ports: ports, count: count) }
  }
}

@Suite struct RoundRobinTests {
  @Test(arguments: [(1, 1), (2, 2), (3, 2), (2, 4), (6, 4)])
  func `Over P·D requests every pair comes once`(prefillers: Int, decoders: Int) {
    var pairs: Set<[Int?]> = []
    for number in 0..<(prefillers * decoders) {
      let prefill = Self.pick(RoundRobin(), of: prefillers, number)
      pairs.insert([prefill, Self.pick(RoundRobin(after: prefillers), of: decoders, number)])
    }
    #expect(pairs.count == prefillers * decoders)
  }

  @Test func `Nobody is picked of nobody, and the last sequence number is as good as any`() {
    #expect(Self.pick(RoundRobin(), of: 0, 1) == nil)
    #expect(Self.pick(RoundRobin(after: 2), of: 0, 1) == nil)
    #expect(Self.pick(RoundRobin(after: 1), of: 1, .max) == 0)
  }

  private static func pick(_ policy: RoundRobin, of count: Int, _ sequence: Int) -> Int? {
    var dice = TestDice(seed: 1)
    let loads = Array(repeating: WorkerLoad(running: 0), count: count)
    return policy.pick(from: loads, for: RequestShape(sequence: sequence), using: &dice)
  }
}

@Suite struct TTFTReportTests {
  @Test func `Statistics are made anew once a second at most`() {
    let statistics = TTFTStatistics(prefillers: 1)
    let start = NIODeadline.now()
    statistics.add(1, prefiller: 0)
    #expect(statistics.report(now: start).requests == 1)
    statistics.add(1, prefiller: 0)
    #expect(statistics.report(now: start + .milliseconds(999)).requests == 1)
    #expect(statistics.report(now: start + .seconds(1)).requests == 2)
  }

  @Test func `The block is the example's to the byte`() {
    let report = TTFTReport(requests: 20, milliseconds: [[40.1, 38.1, 48.78], [41.5, 52.21, 37.7], []])
    #expect(
      report.text == """
        ===============================
        Num requests: 20
        Prefiller 1 TTFT stats:
         - Average (ms): 42.3
         - Median (ms): 40.1
         - 99th Percentile (ms): 48.6
        Prefiller 2 TTFT stats:
         - Average (ms): 43.8
         - Median (ms): 41.5
         - 99th Percentile (ms): 52.0
        ===============================

        """)
  }

  @Test func `Percentiles lie between ranks as numpy's`() {
    let summary = TTFTReport(requests: 4, milliseconds: [[4, 1, 3, 2]]).prefillers[0]
    #expect(summary?.average == 2.5 && summary?.median == 2.5)
    #expect(abs((summary?.p99 ?? 0) - 3.97) < 1e-9)
  }
}
