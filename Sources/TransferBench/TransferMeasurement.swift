import KVBlocks
import KVTransfer
import Logging

/// Where the handoffs of a measurement come from.
package protocol HandoffSource: Sendable {
  /// Publishes a handoff for each of `streams`, of the case's bytes.
  func publish(_ test: TransferCase) async throws -> [KVHandoff]
}

/// Pulls handoffs case by case, in turn with a plain copy, and tells what they took.
package struct TransferMeasurement: Sendable {
  package var cases: [TransferCase]
  /// Each case runs so often at least, and so long.
  package var repetitions = 5
  package var duration = Duration.milliseconds(500)
  package var secret: String?
  package var nixlLibrary: String?
  package var logger: Logger

  package init(cases: [TransferCase], logger: Logger) {
    self.cases = cases
    self.logger = logger
  }

  /// Prefiller and decoder in this process.
  package func run(_ report: (TransferRow) -> Void) async throws {
    for test in cases {
      let source = try LocalSource(test, configuration(test), logger)
      defer { source.close() }
      report(try await measure(test, from: source, comparedWith: source.publisher.memory))
    }
  }

  /// The prefiller is the `TransferListener` at the other end.
  package func run(from source: some HandoffSource, _ report: (TransferRow) -> Void) async throws {
    for test in cases {
      let memory = try KVMemory(layout: test.layout, blockCount: test.streams * test.blocksPerStream)
      report(try await measure(test, from: source, comparedWith: memory))
    }
  }

  private func configuration(_ test: TransferCase) -> TransferConfiguration {
    var configuration = TransferConfiguration()
    configuration.transports = test.transport
    configuration.checksums = test.checksums
    configuration.pullThreads = test.streams
    configuration.secret = secret
    configuration.nixlLibrary = nixlLibrary
    return configuration
  }

  private func measure(
    _ test: TransferCase, from source: some HandoffSource, comparedWith other: KVMemory
  ) async throws -> TransferRow {
    let memory = try KVMemory(layout: test.layout, blockCount: test.streams * test.blocksPerStream)
    let start = ContinuousClock.now
    let transport = try PullTransport(
      memory: memory, identity: TransferPublisher.identity(test.layout), configuration: configuration(test),
      logger: logger)
    defer { transport.close() }
    let copy = PlainCopy(source: other, target: memory)
    // The first round connects, maps and touches.
    _ = try await round(test, from: source, over: transport)
    let first = start.duration(to: .now) / .seconds(1)
    try check(memory, test)
    _ = await copy.run(test)
    var (rounds, handoffs, copies): ([Double], [Double], [Double]) = ([], [], [])
    let end = ContinuousClock.now + duration
    while rounds.count < repetitions || ContinuousClock.now < end {
      let (seconds, each) = try await round(test, from: source, over: transport)
      rounds.append(seconds)
      handoffs += each
      copies.append(await copy.run(test))
    }
    return TransferRow(test: test, rounds: rounds, handoffs: handoffs, copies: copies, first: first)
  }

  /// - Returns: Seconds of all, and of each.
  private func round(
    _ test: TransferCase, from source: some HandoffSource, over transport: PullTransport
  ) async throws -> (Double, [Double]) {
    let tickets = try await source.publish(test)
    let start = ContinuousClock.now
    let each = try await withThrowingTaskGroup(of: Double.self) { group in
      for (stream, ticket) in tickets.enumerated() {
        let blocks = test.blocks(of: stream)
        group.addTask {
          let start = ContinuousClock.now
          _ = try await transport.pull(ticket, into: blocks)
          return start.duration(to: .now) / .seconds(1)
        }
      }
      var each: [Double] = []
      for try await seconds in group { each.append(seconds) }
      return each
    }
    return (start.duration(to: .now) / .seconds(1), each)
  }

  /// A measurement of wrong bytes is none.
  private func check(_ memory: KVMemory, _ test: TransferCase) throws {
    let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: test.layout.bytesPerBlock, alignment: 64)
    defer { expected.deallocate() }
    for index in 0..<test.streams * test.blocksPerStream {
      expected.fill(with: index)
      guard memory.bytes(of: KVBlockID(Int32(index))).elementsEqual(expected) else {
        throw WrongBytes(block: index, bytes: test.bytes, transport: test.transport)
      }
    }
  }
}

package struct WrongBytes: Error, CustomStringConvertible {
  let block: Int
  let bytes: Int
  let transport: TransferConfiguration.Transports

  package var description: String {
    "Block \(block) of \(bytes) bytes over \(transport) is not what was published. Please report this."
  }
}

/// A prefiller in this process.
struct LocalSource: HandoffSource {
  let publisher: TransferPublisher

  init(_ test: TransferCase, _ configuration: TransferConfiguration, _ logger: Logger) throws {
    publisher = try TransferPublisher(
      layout: test.layout, blocks: test.streams * test.blocksPerStream, configuration: configuration, logger: logger)
  }

  func publish(_ test: TransferCase) throws -> [KVHandoff] {
    try (0..<test.streams).map {
      try publisher.publish(first: $0 * test.blocksPerStream, count: test.blocksPerStream)
    }
  }

  func close() { publisher.transport.close() }
}

extension TransferCase {
  func blocks(of stream: Int) -> [KVBlockID] {
    (stream * blocksPerStream..<(stream + 1) * blocksPerStream).map { KVBlockID(Int32($0)) }
  }
}
