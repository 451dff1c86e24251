import KVBlocks
import KVTransfer
import Logging

/// Pulls of prompts while they are computed, in turn with pulls afterwards: how much of the transfer does the prefill hide?
package struct FollowMeasurement: Sendable {
  package var transport: TransferConfiguration.Transports
  package var prefill: SteadyPrefill
  package var repetitions = 5
  package var secret: String?
  /// Between prefiller and decoder of this process; nil: the loopback as it is.
  package var wire: ShapedWire.Shape?
  package var logger: Logger

  package init(_ transport: TransferConfiguration.Transports, _ prefill: SteadyPrefill, logger: Logger) {
    (self.transport, self.prefill, self.logger) = (transport, prefill, logger)
  }

  /// Prefiller and decoder in this process.
  package func run() async throws -> FollowRow {
    let publisher = try TransferPublisher(
      layout: SteadyPrefill.layout, blocks: prefill.blocks, configuration: configuration, logger: logger)
    defer { publisher.transport.close() }
    let port = try wire.map { try ShapedWire(to: publisher.transport.port, $0).port }
    return try await run(from: LocalPrefills(publisher: publisher, port: port ?? publisher.transport.port))
  }

  /// The prefiller is the `TransferListener` at the other end, on a machine whose clock is this one's.
  package func run(from source: some PrefillSource) async throws -> FollowRow {
    let memory = try KVMemory(layout: SteadyPrefill.layout, blockCount: prefill.blocks)
    let decoder = try PullTransport(
      memory: memory, identity: TransferPublisher.identity(SteadyPrefill.layout), configuration: configuration,
      logger: logger)
    defer { decoder.close() }
    var row = FollowRow(transport: transport, prefill: prefill)
    // The first round connects, maps and touches.
    for round in 0...repetitions {
      for early in [false, true] {
        for index in 0..<prefill.blocks { memory.bytes(of: KVBlockID(Int32(index))).fill(with: -1 - index) }
        let rest = try await rest(of: decoder, early: early, from: source)
        try check(memory)
        guard round > 0 else { continue }
        if early { row.followed.append(rest) } else { row.afterwards.append(rest) }
      }
    }
    return row
  }

  private var configuration: TransferConfiguration {
    var configuration = TransferConfiguration()
    configuration.transports = transport
    configuration.secret = secret
    return configuration
  }

  /// - Returns: Seconds from the end of the prefill until the pull was through; of a pull afterwards without the ticket's way.
  private func rest(
    of decoder: PullTransport, early: Bool, from source: some PrefillSource
  ) async throws -> Double {
    let target = (0..<prefill.blocks).map { KVBlockID(Int32($0)) }
    let times = Times()
    let computed = try await source.compute(prefill, early: early) { ticket in
      await times.begin()
      _ = try await decoder.pull(ticket, into: target)
      await times.end()
    }
    return await early ? max(0, times.ended - computed) : times.ended - times.began
  }

  private actor Times {
    private(set) var (began, ended) = (0.0, 0.0)
    func begin() { began = SteadyPrefill.now }
    func end() { ended = SteadyPrefill.now }
  }

  private func check(_ memory: KVMemory) throws {
    let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: memory.layout.bytesPerBlock, alignment: 64)
    defer { expected.deallocate() }
    for index in 0..<prefill.blocks {
      expected.fill(with: index)
      guard memory.bytes(of: KVBlockID(Int32(index))).elementsEqual(expected) else {
        throw WrongBytes(block: index, bytes: prefill.bytes, transport: transport)
      }
    }
  }
}

/// What one prompt took; seconds from the end of its prefill until its decoder had it.
package struct FollowRow: Sendable {
  package let transport: TransferConfiguration.Transports
  package let prefill: SteadyPrefill
  /// Pulled when the prompt was computed.
  package var afterwards: [Double] = []
  /// Pulled while it was.
  package var followed: [Double] = []

  package init(transport: TransferConfiguration.Transports, prefill: SteadyPrefill) {
    (self.transport, self.prefill) = (transport, prefill)
  }

  /// The share of the transfer that the prefill hides.
  package var hidden: Double { 1 - quantile(followed.sorted(), 0.5) / quantile(afterwards.sorted(), 0.5) }

  package static let heading = """
    transport  tokens        bytes  prefill ms   afterwards ms, p50 (p99)     followed ms, p50 (p99)   hidden

    """
}

extension FollowRow: CustomStringConvertible {
  package var description: String {
    func cell(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    func times(_ seconds: [Double]) -> String {
      let sorted = seconds.sorted()
      return "\(fixed(quantile(sorted, 0.5) * 1e3, 3)) (\(fixed(quantile(sorted, 0.99) * 1e3, 3)))"
    }
    return cell("\(transport)", 9) + cell("\(prefill.tokens)", 8) + cell("\(prefill.bytes)", 13)
      + cell("\(prefill.tokens * 1000 / prefill.tokensPerSecond)", 12) + cell(times(afterwards), 27)
      + cell(times(followed), 27) + cell("\(fixed(hidden * 100, 1)) %", 9) + "\n"
  }
}
