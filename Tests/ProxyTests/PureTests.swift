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
    var pairs: [String: Int] = [:]
    for number in 0..<(prefillers * decoders) {
      let decode = RoundRobin.decodeSequence(number, prefillers: prefillers, decoders: decoders)
      pairs["\(number % prefillers) \(decode % decoders)", default: 0] += 1
    }
    #expect(pairs.count == prefillers * decoders)
  }
}

@Suite struct TTFTReportTests {
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
