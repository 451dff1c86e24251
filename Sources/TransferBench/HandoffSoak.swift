import Glibc
import KVBlocks
import KVTransfer
import Logging
import Synchronization

/// Very many handoffs, one after the other in each stream: what is left when they are through?
package struct HandoffSoak: Sendable {
  package var test: TransferCase
  package var handoffs: Int
  package var nixlLibrary: String?
  package var logger: Logger

  package init(_ test: TransferCase, handoffs: Int, logger: Logger) {
    (self.test, self.handoffs, self.logger) = (test, handoffs, logger)
  }

  package struct Result: Sendable {
    package var handoffs: Int
    package var seconds: Double
    /// Whose blocks were not given back.
    package var leaked: Int
    /// When a tenth was through, and at the end.
    package var residentBytes: (early: Int, late: Int)
    package var descriptors: (early: Int, late: Int)
  }

  package func run() async throws -> Result {
    let configuration = { () -> TransferConfiguration in
      var configuration = TransferConfiguration()
      configuration.transports = test.transport
      configuration.checksums = test.checksums
      configuration.pullThreads = test.streams
      configuration.nixlLibrary = nixlLibrary
      return configuration
    }()
    let blocks = test.streams * test.blocksPerStream
    let publisher = try TransferPublisher(
      layout: test.layout, blocks: blocks, configuration: configuration, logger: logger)
    defer { publisher.transport.close() }
    let memory = try KVMemory(layout: test.layout, blockCount: blocks)
    let decoder = try PullTransport(
      memory: memory, identity: TransferPublisher.identity(test.layout), configuration: configuration, logger: logger)
    defer { decoder.close() }
    let released = Counter()
    let start = ContinuousClock.now
    try await move(handoffs / 10, publisher, decoder, released)
    let early = (Self.residentBytes, Self.descriptors)
    try await move(handoffs - handoffs / 10, publisher, decoder, released)
    let seconds = start.duration(to: .now) / .seconds(1)
    return Result(
      handoffs: handoffs, seconds: seconds, leaked: handoffs - released.value,
      residentBytes: (early.0, Self.residentBytes), descriptors: (early.1, Self.descriptors))
  }

  private func move(
    _ count: Int, _ publisher: TransferPublisher, _ decoder: PullTransport, _ released: Counter
  ) async throws {
    let test = test
    try await withThrowingTaskGroup(of: Void.self) { group in
      for stream in 0..<test.streams {
        group.addTask {
          for _ in 0..<count / test.streams + (stream < count % test.streams ? 1 : 0) {
            let ticket = try publisher.publish(
              first: stream * test.blocksPerStream, count: test.blocksPerStream, onRelease: { released.increment() })
            _ = try await decoder.pull(ticket, into: test.blocks(of: stream))
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func increment() { count.add(1, ordering: .relaxed) }
  }

  /// 0 if `/proc` does not tell.
  private static var residentBytes: Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let words = text.split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }

  private static var descriptors: Int {
    guard let directory = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
  }
}

extension HandoffSoak.Result: CustomStringConvertible {
  package var description: String {
    """
    \(handoffs) handoffs in \(fixed(seconds, 1)) s, \(Int(Double(handoffs) / seconds)) each second
    blocks not given back: of \(leaked) handoffs
    resident memory: \(fixed(Double(residentBytes.early) / 1e6, 1)) MB after a tenth, \
    \(fixed(Double(residentBytes.late) / 1e6, 1)) MB at the end
    open descriptors: \(descriptors.early) after a tenth, \(descriptors.late) at the end

    """
  }
}
