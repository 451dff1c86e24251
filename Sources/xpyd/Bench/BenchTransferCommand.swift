import ArgumentParser
import Dispatch
import KVTransfer
import Logging
import TransferBench
import Worker

extension BenchCommand {
  /// `xpyd bench transfer`: handoffs beside `memcpy`.
  struct Transfer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure KV handoffs beside memcpy, in this process or between two hosts.",
      discussion: """
        Each line is one size, cut into as many handoffs as there are streams: each is published, and pulled over a \
        connection of its own, from the ticket to the acknowledgement. In turn with it as many threads copy as many \
        bytes with memcpy.

        Between two hosts: --listen ADDRESS:PORT on one, --connect ADDRESS:PORT with the sizes on the other, both with \
        the same --kv-secret-file.
        """)

    @Option(help: ArgumentHelp("Ways to measure: shm, tcp, nixl (with --connect: auto).", valueName: "list"))
    var transports = CommaList<TransferConfiguration.Transports>([.shm, .tcp])

    @Option(
      help: ArgumentHelp("Bytes, of all streams together; K, M and G stand for 2^10, 2^20, 2^30.", valueName: "list"))
    var sizes = CommaList(TransferCase.usualSizes.map(ByteCount.init))

    @Option(help: ArgumentHelp("Numbers of handoffs under way at once.", valueName: "list"))
    var streams = CommaList([1])

    @Option(help: ArgumentHelp("Which compare checksums: never, wire (those over tcp), always.", valueName: "list"))
    var checksums = CommaList<TransferConfiguration.Checksums>([.wire])

    @Option(help: "How often each case runs at least; the median counts.")
    var repetitions = 5

    @Option(help: ArgumentHelp("How long each case runs at least.", valueName: "milliseconds"))
    var duration = 500

    @Option(help: "text or json.")
    var output = TransferOutput.Format.text

    @Option(help: ArgumentHelp("Publish here for a measurement that runs elsewhere.", valueName: "address:port"))
    var listen: Endpoint?

    @Option(help: ArgumentHelp("Pull from the xpyd that listens there.", valueName: "address:port"))
    var connect: Endpoint?

    @Option(help: ArgumentHelp("File with the secret that both ends share.", valueName: "path"))
    var kvSecretFile: String?

    @Option(
      help: ArgumentHelp(
        "libnixl_capi.so, or the folder of Python packages with the nixl wheel (default: as Python finds it).",
        valueName: "path"))
    var nixlLibrary: String?

    @Option(
      help: ArgumentHelp("No table: move so many handoffs, and tell what they leave behind.", valueName: "number"))
    var handoffs: Int?

    func validate() throws {
      guard listen == nil || connect == nil else { throw ValidationError("Give --listen or --connect, not both.") }
      guard (1...10_000).contains(repetitions), (0...600_000).contains(duration) else {
        throw ValidationError("--repetitions must be from 1 to 10000, --duration from 0 to 600000.")
      }
      guard streams.values.allSatisfy({ (1...64).contains($0) }) else {
        throw ValidationError("--streams must be from 1 to 64.")
      }
      guard sizes.values.allSatisfy({ $0.bytes <= 1 << 30 }) else { throw ValidationError("--sizes go up to 1G.") }
      if let handoffs, !(10...100_000_000).contains(handoffs) {
        throw ValidationError("--handoffs must be from 10 to 100000000, not \(handoffs).")
      }
      if listen == nil, cases.isEmpty {
        throw ValidationError("No size can be cut into whole 4-KiB blocks for that many streams.")
      }
    }

    func run() async throws {
      var logger = Logger(label: "xpyd.bench")
      logger.logLevel = .warning
      if let listen { return try await serve(listen, logger) }
      if let handoffs {
        for test in cases {
          printNow("\(test.transport), \(test.streams) streams of \(test.bytes / test.streams) bytes\n")
          var soak = HandoffSoak(test, handoffs: handoffs, logger: logger)
          soak.nixlLibrary = nixlLibrary
          printNow("\(try await soak.run())")
        }
        return
      }
      try await measure(logger)
    }

    private var cases: [TransferCase] {
      TransferCase.all(
        transports: transports.values, sizes: sizes.values.map(\.bytes), streams: streams.values,
        checksums: checksums.values)
    }

    private func measure(_ logger: Logger) async throws {
      var measurement = TransferMeasurement(cases: cases, logger: logger)
      measurement.repetitions = repetitions
      measurement.duration = .milliseconds(duration)
      measurement.secret = try kvSecretFile.map { try TransferSecret.read($0) }
      measurement.nixlLibrary = nixlLibrary
      var output = TransferOutput(output)
      printNow(output.start())
      if let connect {
        let source = try RemoteSource(host: connect.host, port: connect.port)
        try await measurement.run(from: source) { printNow(output.add($0)) }
      } else {
        try await measurement.run { printNow(output.add($0)) }
        var comparison = NixlComparison(library: nixlLibrary)
        (comparison.repetitions, comparison.duration) = (repetitions, .milliseconds(duration))
        for test in cases where test.transport == .nixl && test.streams == 1 {
          printNow(output.add(try await comparison.run(test)))
        }
      }
      printNow(output.end())
    }

    private func serve(_ endpoint: Endpoint, _ logger: Logger) async throws {
      var configuration = TransferConfiguration()
      configuration.listenHost = endpoint.host
      configuration.port = endpoint.port
      configuration.secret = try kvSecretFile.map { try TransferSecret.read($0) }
      configuration.nixlLibrary = nixlLibrary
      let listener = try TransferListener(configuration, logger: logger)
      printNow("listening on \(listener.host):\(listener.port)\n")
      listener.run()
    }
  }
}

extension TransferOutput.Format: ExpressibleByArgument {}
