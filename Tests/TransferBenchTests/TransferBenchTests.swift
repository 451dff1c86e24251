import Foundation
import KVTransfer
import Logging
import Testing
import TransferBench

private let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite(.timeLimit(.minutes(2))) struct TransferBenchTests {
  @Test func `Cases are all combinations that cut into whole blocks`() {
    let cases = TransferCase.all(
      transports: [.shm, .tcp], sizes: [4096, 8192, 1_048_576], streams: [1, 2], checksums: [.wire])
    let (one, two) = (cases.filter { $0.streams == 1 }, cases.filter { $0.streams == 2 })
    #expect(one.map(\.bytes) == [4096, 8192, 1_048_576, 4096, 8192, 1_048_576])
    #expect(two.map(\.bytes) == [8192, 1_048_576, 8192, 1_048_576])
    #expect(!TransferCase(.shm, streams: 3, bytes: 1 << 20, checksums: .wire).isPossible)
    #expect(TransferCase(.shm, streams: 1, bytes: 512 * 23_040, checksums: .wire).isPossible)
  }

  @Test func `A row tells the median rate, the share of the plain copy and the latencies`() {
    let test = TransferCase(.tcp, streams: 1, bytes: 1 << 20, checksums: .wire)
    let row = TransferRow(
      test: test, rounds: [0.004, 0.001, 0.002], handoffs: (1...100).map { Double($0) / 1000 }, copies: [0.001],
      first: 0.01)
    #expect(abs(row.rate.median - 0.524288) < 1e-9 && abs(row.rate.max - 1.048576) < 1e-9)
    #expect(abs(row.shareOfCopy - 0.5) < 1e-9)
    #expect(row.latency.median == 0.05 && row.latency.p99 == 0.099)
  }

  @Test func `The table is a Markdown table, and the JSON is JSON`() throws {
    let test = TransferCase(.shm, streams: 2, bytes: 1 << 20, checksums: .always)
    let row = TransferRow(test: test, rounds: [0.001], handoffs: [0.0005], copies: [0.002], first: 0.0125)
    var text = TransferOutput(.text)
    let lines = (text.start() + text.add(row) + text.end()).split(separator: "\n")
    #expect(lines.count == 3)
    for line in lines { #expect(line.split(separator: "|").count == 11) }
    for cell in [" 1.049 |", " 2.00× |", " 500.0 |", " 12.5 |"] { #expect(lines[2].contains(cell)) }
    var json = TransferOutput(.json)
    let comparison = NixlRow(bytes: 4096, bare: [0.00001], adapter: [0.0000125])
    #expect("\(comparison)" == "NIXL read of 4096 bytes: C API 10.0 µs, adapter 12.5 µs: 0.800×, 2.5 µs added\n")
    let document = json.start() + json.add(row) + json.add(comparison) + json.end()
    let value = try JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: [[String: Any]]]
    #expect(value?["rows"]?[0]["share_of_memcpy"] as? Double == 2)
    #expect(value?["nixl_reads"]?[0]["share_of_c_api"] as? Double == 0.8)
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp])
  func `Prompts are pulled while they are computed, and afterwards`(
    transport: TransferConfiguration.Transports
  ) async throws {
    var measurement = FollowMeasurement(
      transport, SteadyPrefill(tokens: 600, tokensPerSecond: 10_000), logger: silentLogger)
    measurement.repetitions = 2
    let row = try await measurement.run()
    #expect(row.followed.count == 2 && row.afterwards.count == 2 && row.afterwards.allSatisfy { $0 > 0 })
  }

  @Test func `The share that a prefill hides is that of the medians`() {
    var row = FollowRow(transport: .tcp, prefill: SteadyPrefill(tokens: 512, tokensPerSecond: 512))
    (row.followed, row.afterwards) = ([0.001, 0.002, 0.009], [0.008, 0.003, 0.1])
    #expect(row.hidden == 0.75)
    let cells = row.description.split(whereSeparator: \.isWhitespace)
    #expect(
      cells == ["tcp", "512", "11796480", "1000", "8.000", "(100.000)", "2.000", "(9.000)", "75.0", "%"])
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp], [TransferConfiguration.Checksums.never, .always])
  func `A measurement moves the right bytes and times them`(
    transport: TransferConfiguration.Transports, checksums: TransferConfiguration.Checksums
  ) async throws {
    // Above and below the size from which copies go past the caches.
    for (streams, bytes) in [(2, 64 << 10), (1, 8 << 20)] {
      var measurement = TransferMeasurement(
        cases: [TransferCase(transport, streams: streams, bytes: bytes, checksums: checksums)], logger: silentLogger)
      measurement.repetitions = 2
      measurement.duration = .zero
      var rows: [TransferRow] = []
      try await measurement.run { rows.append($0) }
      #expect(rows.count == 1)
      #expect(rows[0].rounds.count == 2 && rows[0].handoffs.count == 2 * streams && rows[0].copies.count == 2)
      #expect((rows[0].rounds + rows[0].handoffs + rows[0].copies).allSatisfy { $0 > 0 })
    }
  }

  @Test func `Two ends measure over a listener`() async throws {
    var configuration = TransferConfiguration()
    configuration.secret = "a secret of both ends"
    let port = try Listening.start(configuration)
    let cases = TransferCase.all(
      transports: [.tcp], sizes: [64 << 10, 1 << 20], streams: [1, 2], checksums: [.wire])
    var measurement = TransferMeasurement(cases: cases, logger: silentLogger)
    measurement.repetitions = 1
    measurement.duration = .zero
    measurement.secret = configuration.secret
    var rows: [TransferRow] = []
    try await measurement.run(from: try RemoteSource(host: "127.0.0.1", port: port)) { rows.append($0) }
    #expect(rows.map(\.test) == cases)
    measurement.secret = "another secret than theirs"
    await #expect(throws: KVTransferError.self) {
      try await measurement.run(from: try RemoteSource(host: "127.0.0.1", port: port)) { _ in }
    }
  }

  @Test func `Many handoffs leave no block behind`() async throws {
    let test = TransferCase(.shm, streams: 3, bytes: 12 << 10, checksums: .wire)
    let result = try await HandoffSoak(test, handoffs: 100, logger: silentLogger).run()
    #expect(result.handoffs == 100 && result.leaked == 0)
    #expect(result.residentBytes.late > 0 && result.descriptors.late > 0)
  }
}

/// A listener that serves until the process ends.
private enum Listening {
  static func start(_ configuration: TransferConfiguration) throws -> Int {
    nonisolated(unsafe) let listener = try TransferListener(configuration, logger: silentLogger)
    let port = listener.port
    // SAFETY: only the new thread has it from here on.
    Thread.detachNewThread { listener.run() }
    return port
  }
}
