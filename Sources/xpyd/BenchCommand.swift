import ArgumentParser
import EngineBench
import Foundation
import Kernels
import ModelStore

/// `xpyd bench`: measurements that anyone can repeat.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure a server, the engine, or the KV transfer.",
    subcommands: [
      Serve.self, Trace.self, Sweep.self, Compare.self, Report.self, Engine.self, Transfer.self, Follow.self,
    ])

  /// `xpyd bench engine`: prefill and decode beside this machine's limits.
  struct Engine: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure prefill and decode beside this machine's limits.",
      discussion: """
        First measures what the machine can do with the given threads: float32 multiply-adds (GFLOP/s) and reading \
        (GB/s). Then each test: tokens/s as median and range, and the operations and bytes that it needs at least, as \
        rates and as shares of those peaks.

        Tests are named as llama-bench's: pp512 prefills 512 tokens, tg64 decodes 64, one at a time; tg64x8 does so \
        for 8 sequences at once (tokens/s of all); pp512@1024 and tg64@1024 start behind 1,024 tokens.
        """)

    @Argument(help: "Model name or path of a .gguf file or a Hugging Face folder.")
    var model = defaultModel

    @Option(help: ArgumentHelp("Tests, in this order.", valueName: "list"))
    var tests = BenchTestList(tests: BenchTest.usual)

    @Option(help: ArgumentHelp("Numbers of compute threads (default: one for each processor).", valueName: "list"))
    var threads = ThreadCountList(counts: [ProcessInfo.processInfo.activeProcessorCount])

    @Option(help: "How often each test runs; the median counts.")
    var repetitions = 5

    @Option(help: "Prompt tokens in one step at most.")
    var maxNumBatchedTokens = 512

    @Option(help: "What products read activations as: float32, int16 or int8.")
    var activations = ActivationType.standard

    @Option(help: "text, json or csv.")
    var output = BenchOutput.Format.text

    func validate() throws {
      guard (1...1000).contains(repetitions) else {
        throw ValidationError("--repetitions must be from 1 to 1000, not \(repetitions).")
      }
      guard (1...65_536).contains(maxNumBatchedTokens) else {
        throw ValidationError("--max-num-batched-tokens must be from 1 to 65536, not \(maxNumBatchedTokens).")
      }
    }

    func run() throws {
      var measurement = EngineMeasurement(modelPath: try resolve(model), threads: threads.counts)
      measurement.tests = tests.tests
      measurement.repetitions = repetitions
      measurement.stepTokens = maxNumBatchedTokens
      measurement.activations = activations
      var output = BenchOutput(output, tests: tests.tests)
      try measurement.run { printNow(output.text(for: $0)) }
      printNow(output.end())
    }
  }
}

extension BenchOutput.Format: ExpressibleByArgument {}

/// `pp512,tg64x8@1024`
struct BenchTestList: ExpressibleByArgument {
  var tests: [BenchTest]

  init(tests: [BenchTest]) { self.tests = tests }

  init?(argument: String) {
    tests = []
    for name in argument.split(separator: ",", omittingEmptySubsequences: false) {
      guard let test = BenchTest(name: name) else { return nil }
      tests.append(test)
    }
  }

  var defaultValueDescription: String { tests.map(\.description).joined(separator: ",") }
}

/// `1,2`
struct ThreadCountList: ExpressibleByArgument {
  var counts: [Int]

  init(counts: [Int]) { self.counts = counts }

  init?(argument: String) {
    counts = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      guard let count = Int(part), (1...1024).contains(count) else { return nil }
      counts.append(count)
    }
  }

  var defaultValueDescription: String { counts.map(String.init).joined(separator: ",") }
}
