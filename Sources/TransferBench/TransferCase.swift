import KVBlocks
import KVTransfer

/// One line of the table: so many bytes, cut into so many handoffs that move at once, over one transport.
package struct TransferCase: Equatable, Sendable {
  package let transport: TransferConfiguration.Transports
  /// Handoffs under way at the same time, each over a connection of its own.
  package let streams: Int
  /// Of all streams together.
  package let bytes: Int
  package let checksums: TransferConfiguration.Checksums

  package init(
    _ transport: TransferConfiguration.Transports, streams: Int, bytes: Int,
    checksums: TransferConfiguration.Checksums
  ) {
    self.transport = transport
    self.streams = streams
    self.bytes = bytes
    self.checksums = checksums
  }

  /// 4 KiB to 256 MiB, and among them the KV of 512 tokens of SmolLM2-135M.
  package static let usualSizes = [4 << 10, 64 << 10, 1 << 20, 512 * 23_040, 16 << 20, 64 << 20, 256 << 20]

  /// Every combination in which each stream has a block at least.
  package static func all(
    transports: [TransferConfiguration.Transports], sizes: [Int], streams: [Int],
    checksums: [TransferConfiguration.Checksums]
  ) -> [TransferCase] {
    transports.flatMap { transport in
      checksums.flatMap { checksums in
        streams.flatMap { streams in
          sizes.map { TransferCase(transport, streams: streams, bytes: $0, checksums: checksums) }
        }
      }
    }.filter { $0.isPossible }
  }

  /// The streams' parts are whole blocks.
  package var isPossible: Bool {
    bytesPerStream >= Self.smallestBlock && bytes == streams * blocksPerStream * bytesPerBlock
  }

  var bytesPerStream: Int { bytes / streams }
  /// About as large as a block of a real model, if the stream has as much.
  var bytesPerBlock: Int { min(bytesPerStream, Self.largestBlock) / Self.smallestBlock * Self.smallestBlock }
  var blocksPerStream: Int { bytesPerStream / bytesPerBlock }

  /// 4 KiB for each layer: 16 tokens of one head of 64 in half precision.
  var layout: KVLayout { KVLayout(layers: bytesPerBlock / Self.smallestBlock, kvHeads: 1, headDim: 64) }

  private static let smallestBlock = 4 << 10
  private static let largestBlock = 256 << 10
}
