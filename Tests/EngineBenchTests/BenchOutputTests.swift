import EngineBench
import Foundation
import Kernels
import Testing

struct BenchOutputTests {
  private static let tests = [BenchTest(.prefill, tokens: 512), BenchTest(.decode(batch: 8), tokens: 64, depth: 1024)]
  private static let peaks = MachinePeaks(threads: 2, operations: 200e9, bytes: 25e9)
  private static let events: [EngineMeasurement.Event] = [
    .model(
      BenchSubject(
        modelPath: "models/a \"b\"\n.gguf", modelBytes: 96_600_000, processor: "AMD EPYC", instructionSet: "avx2",
        activations: .int8)),
    .peaks(peaks),
    .row(
      BenchRow(
        test: tests[0], rates: [512, 256, 1024], amount: .init(operations: 100e9, bytes: 1e9), peaks: peaks)),
    .row(
      BenchRow(
        test: tests[1], rates: [99.9, 100.1], amount: .init(operations: 51.2e9, bytes: 51.2e9), peaks: peaks)),
  ]

  private func output(_ format: BenchOutput.Format) -> String {
    var output = BenchOutput(format, tests: Self.tests)
    return Self.events.map { output.text(for: $0) }.joined() + output.end()
  }

  @Test(arguments: [(BenchOutput.Format.text, "table.md"), (.csv, "table.csv"), (.json, "table.json")])
  func `Each format is as the fixture has it`(format: BenchOutput.Format, fixture: String) throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(fixture)")
    #expect(output(format) == (try String(contentsOf: path, encoding: .utf8)))
  }

  @Test func `The JSON is JSON`() throws {
    let value = try JSONSerialization.jsonObject(with: Data(output(.json).utf8)) as? [String: Any]
    #expect(value?["model"] as? String == "models/a \"b\"\n.gguf")
    let rows = value?["rows"] as? [[String: Any]]
    #expect(rows?.map { $0["test"] as? String } == ["pp512", "tg64x8@1024"])
    #expect(rows?[0]["gflops_share"] as? Double == 0.5)
  }

  @Test func `A table of no rows is still JSON`() throws {
    #expect(throws: Never.self) {
      try JSONSerialization.jsonObject(with: Data(BenchOutput(.json, tests: []).end().utf8))
    }
  }
}
