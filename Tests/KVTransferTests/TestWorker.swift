import KVBlocks
import KVTransfer
import Logging
import Synchronization

/// Small enough that a test of a hundred transfers takes milliseconds: 256 bytes a block.
let testLayout = KVLayout(layers: 2, kvHeads: 1, headDim: 8, blockSize: 4)

/// One worker's pool and transport, with bytes that tell block from block.
struct TestWorker: Sendable {
  let memory: KVMemory
  let transport: PullTransport
  let identity: KVIdentity

  init(
    _ transports: TransferConfiguration.Transports = .auto, engineID: String = "engine", seed: UInt8 = 1,
    blockCount: Int = 128, layout: KVLayout = testLayout,
    _ configure: (inout TransferConfiguration, inout KVIdentity) -> Void = { _, _ in },
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) throws {
    var configuration = TransferConfiguration()
    configuration.transports = transports
    var identity = KVIdentity(engineID: engineID, model: "model-a", tokenizer: "tokenizer-a", layout: layout)
    configure(&configuration, &identity)
    self.identity = identity
    memory = try KVMemory(layout: layout, blockCount: blockCount)
    for index in 0..<blockCount {
      let bytes = memory.bytes(of: KVBlockID(Int32(index)))
      for offset in bytes.indices { bytes[offset] = UInt8(truncatingIfNeeded: index &* 31 &+ offset &* 7) &+ seed }
    }
    transport = try PullTransport(
      memory: memory, identity: identity, configuration: configuration, logger: silentLogger, now: now)
  }

  func bytes(of blocks: [KVBlockID]) -> [[UInt8]] { blocks.map { Array(memory.bytes(of: $0)) } }

  func publish(
    _ indices: [Int], tokens: Int? = nil, lease: Duration = .seconds(30), to log: EventLog = EventLog()
  ) throws -> KVHandoff {
    let tokens = tokens ?? indices.count * memory.layout.blockSize
    return try transport.publish(
      blockIDs(indices), tokens: tokens, requestID: "request", lease: lease, onRelease: { log.note() })
  }
}

/// A prompt whose KV a test computes layer by layer: the bytes that its blocks had, put back piece by piece.
struct EarlyPrompt: Sendable {
  let publication: KVPublication
  /// What the blocks hold when they are computed.
  let expected: [[UInt8]]
  private let blocks: [KVBlockID]
  private let memory: KVMemory

  /// Opens a handoff of these blocks, whose bytes are all wrong until they are computed.
  init(
    _ indices: [Int], tokens: Int? = nil, lease: Duration = .seconds(30), of worker: TestWorker,
    onRelease: @escaping @Sendable () -> Void
  ) throws {
    (blocks, memory) = (blockIDs(indices), worker.memory)
    expected = worker.bytes(of: blocks)
    for block in blocks {
      let bytes = memory.bytes(of: block)
      for offset in bytes.indices { bytes[offset] = ~bytes[offset] }
    }
    publication = try worker.transport.open(
      blocks, tokens: tokens ?? indices.count * memory.layout.blockSize, requestID: "request", lease: lease,
      onRelease: onRelease)
  }

  /// As the prefiller's answer has it.
  var handoff: KVHandoff {
    var handoff = publication.handoff
    handoff.isEarly = true
    return handoff
  }

  /// Of every layer, these blocks of the prompt; those before are computed already.
  func compute(_ range: Range<Int>, layers: Range<Int> = 0..<testLayout.layers) {
    for layer in layers {
      for index in range {
        let bytes = memory.bytes(of: blocks[index])
        for offset in layer * testLayout.bytesPerLayer..<(layer + 1) * testLayout.bytesPerLayer {
          bytes[offset] = expected[index][offset]
        }
      }
      let isWhole = range.upperBound == blocks.count
      publication.advance(
        layer: layer, tokens: isWhole ? publication.handoff.tokens : range.upperBound * testLayout.blockSize)
    }
  }
}

/// Without it the tests over NIXL are left out. `make test` installs it, and names its folder in PYTHONPATH.
let nixlIsInstalled = (try? NixlLibrary.open(nil)) != nil

let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func blockIDs(_ indices: some Sequence<Int>) -> [KVBlockID] { indices.map { KVBlockID(Int32($0)) } }

/// Two workers, gone when `body` is.
func withWorkers<Value>(
  _ transports: TransferConfiguration.Transports,
  now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
  prefiller configurePrefiller: (inout TransferConfiguration, inout KVIdentity) -> Void = { _, _ in },
  decoder configureDecoder: (inout TransferConfiguration, inout KVIdentity) -> Void = { _, _ in },
  _ body: (_ prefiller: TestWorker, _ decoder: TestWorker) async throws -> Value
) async throws -> Value {
  let prefiller = try TestWorker(transports, engineID: "prefiller", seed: 1, configurePrefiller, now: now)
  defer { prefiller.transport.close() }
  let decoder = try TestWorker(transports, engineID: "decoder", seed: 101, configureDecoder)
  defer { decoder.transport.close() }
  return try await body(prefiller, decoder)
}

/// Counts events (releases, mostly), and wakes the test that waits for one.
final class EventLog: Sendable {
  private let events = AsyncStream<Void>.makeStream()
  private let total = Mutex(0)

  var count: Int { total.withLock { $0 } }

  func note() {
    total.withLock { $0 += 1 }
    events.continuation.yield()
  }

  func next() async {
    for await _ in events.stream { return }
  }
}

/// Stands still until a test moves it.
final class HandClock: Sendable {
  private let time = Mutex(ContinuousClock.now)

  func now() -> ContinuousClock.Instant { time.withLock { $0 } }
  func advance(by duration: Duration) { time.withLock { $0 += duration } }
}

/// The label of the error that `body` throws; nil if it throws none.
func label(_ body: () async throws -> Void) async -> String? {
  do {
    try await body()
    return nil
  } catch let error as KVTransferError {
    return error.label
  } catch {
    return "\(error)"
  }
}
