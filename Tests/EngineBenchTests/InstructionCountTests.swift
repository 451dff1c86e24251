import Foundation
import Kernels
import Testing

/// What the engine executes for one prefill and one decode step (`CountedSteps`), counted by callgrind: unlike a time, the
/// same on a busy machine.
@Suite struct InstructionCountTests {
  private static let valgrind = ["/usr/bin/valgrind", "/usr/local/bin/valgrind"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }
  private static let recordFile = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "Fixtures/instructions.json")

  @Test(.enabled(if: InstructionSet.best.name == "avx2" && valgrind != nil, "needs AVX2 and valgrind"))
  func `A prefill of 128 tokens and a decode step take at most 5 % more instructions than recorded`() async throws {
    let record = try JSONDecoder().decode(InstructionRecord.self, from: Data(contentsOf: Self.recordFile))
    let profile = try await Self.profile()
    for (function, recorded) in [
      ("countedPrefill", record.prefillOf128Tokens), ("countedDecodeStep", record.decodeStep),
    ] {
      let count = inclusiveCost(of: function, in: profile)
      try #require(count > 0, "callgrind's output has no \(function)")
      #expect(
        count * 100 <= recorded * 105,
        """
        \(function) takes \(count) instructions, \(recorded) with \(record.countedWith). If this is meant, or the compiler is \
        another, write the new count to \(Self.recordFile.path()).
        """)
    }
  }

  /// - Returns: What callgrind writes of `CountedSteps`, with whole names.
  private static func profile() async throws -> String {
    let folder = FileManager.default.temporaryDirectory.appending(path: "callgrind-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (output, log) = (folder.appending(path: "profile"), folder.appending(path: "log"))
    let process = Process()
    process.executableURL = URL(filePath: valgrind!)
    let steps = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "CountedSteps")
    process.arguments = [
      "--tool=callgrind", "--toggle-collect=*countedPrefill*", "--toggle-collect=*countedDecodeStep*",
      "--compress-strings=no", "--compress-pos=no", "--callgrind-out-file=\(output.path())", "--log-file=\(log.path())",
      steps.path(),
    ]
    let ends = AsyncStream<Int32> { continuation in
      process.terminationHandler = {
        continuation.yield($0.terminationStatus)
        continuation.finish()
      }
    }
    try process.run()
    let status = await ends.first { _ in true }
    try #require(status == 0, "\((try? String(contentsOf: log, encoding: .utf8)) ?? "valgrind wrote no log")")
    return try String(contentsOf: output, encoding: .utf8)
  }
}

private struct InstructionRecord: Decodable {
  var countedWith: String
  var decodeStep: Int
  var prefillOf128Tokens: Int
}

/// Instructions of a function and of all that it calls: behind `fn=` with its name come lines of position and cost, one for
/// each line of its own and one for each call.
private func inclusiveCost(of function: String, in profile: String) -> Int {
  var (cost, isInside) = (0, false)
  for line in profile.split(separator: "\n") {
    if line.hasPrefix("fn=") { isInside = line.contains(function) }
    guard isInside, line.first?.isNumber == true, let last = line.split(separator: " ").last else { continue }
    cost += Int(last) ?? 0
  }
  return cost
}
