import ArgumentParser
import KVTransfer
import Logging
import TransferBench
import Worker

extension BenchCommand {
  /// `xpyd bench follow`: handoffs that are pulled while their prompts are computed.
  struct Follow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure how much of a KV transfer the prefill hides.",
      discussion: """
        Pulls prompts while they are computed, in turn with pulls afterwards, and tells for both how long after the end \
        of the prefill the decoder has the KV. The prefill takes its time (--rate) and computes nothing; the KV is \
        SmolLM2-135M's, in chunks of 512 tokens.

        Between two network namespaces of a machine: `xpyd bench transfer --listen ADDRESS:PORT` in one, and this with \
        --connect ADDRESS:PORT in the other, both with the same --kv-secret-file.
        """)

    @Option(help: ArgumentHelp("Ways to measure: shm, tcp.", valueName: "list"))
    var transports = CommaList<TransferConfiguration.Transports>([.shm, .tcp])

    @Option(help: ArgumentHelp("Lengths of prompts.", valueName: "list"))
    var tokens = CommaList([512, 2048])

    @Option(help: ArgumentHelp("Of the prefill.", valueName: "tokens/s"))
    var rate = 500

    @Option(help: "How often each case runs; the median counts.")
    var repetitions = 10

    @Option(
      help: ArgumentHelp(
        "Put a wire of this rate between the two ends of tcp, by a relay of this process.", valueName: "Mb/s"))
    var wireRate: Int?

    @Option(help: ArgumentHelp("What the wire takes one way.", valueName: "milliseconds"))
    var wireDelay = 10

    @Option(help: ArgumentHelp("Pull from the xpyd that listens there.", valueName: "address:port"))
    var connect: Endpoint?

    @Option(help: ArgumentHelp("File with the secret that both ends share.", valueName: "path"))
    var kvSecretFile: String?

    func validate() throws {
      guard transports.values.allSatisfy({ $0 == .shm || $0 == .tcp }) else {
        throw ValidationError("--transports are shm and tcp: over NIXL a prompt is pulled when it is computed.")
      }
      guard tokens.values.allSatisfy({ (1...32_768).contains($0) }) else {
        throw ValidationError("--tokens must be from 1 to 32768.")
      }
      if let wireRate {
        guard (1...1_000_000).contains(wireRate), (0...10_000).contains(wireDelay), connect == nil,
          transports.values == [.tcp]
        else {
          throw ValidationError(
            "--wire-rate is from 1 to 1000000, with a --wire-delay from 0 to 10000 and --transports tcp, in one process."
          )
        }
      }
      guard (1...100_000_000).contains(rate), (1...10_000).contains(repetitions) else {
        throw ValidationError("--rate must be from 1 to 100000000, --repetitions from 1 to 10000.")
      }
    }

    private var wire: ShapedWire.Shape? {
      wireRate.map { ShapedWire.Shape(bytesPerSecond: Double($0) * 125_000, delay: Double(wireDelay) / 1000) }
    }

    func run() async throws {
      var logger = Logger(label: "xpyd.bench")
      logger.logLevel = .warning
      printNow(FollowRow.heading)
      for transport in transports.values {
        for count in tokens.values {
          let prefill = SteadyPrefill(tokens: count, tokensPerSecond: rate)
          var measurement = FollowMeasurement(transport, prefill, logger: logger)
          measurement.repetitions = repetitions
          measurement.wire = wire
          measurement.secret = try kvSecretFile.map { try TransferSecret.read($0) }
          if let connect {
            let source = try RemoteSource(host: connect.host, port: connect.port)
            printNow("\(try await measurement.run(from: source))")
          } else {
            printNow("\(try await measurement.run())")
          }
        }
      }
    }
  }
}
