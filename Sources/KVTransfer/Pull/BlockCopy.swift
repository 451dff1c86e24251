import CLinux

/// Copies blocks between pools that this process has mapped.
///
/// Small handoffs are left in the caches for the decoder's next step. From a few MiB on the first blocks would be gone
/// from there before the last are copied; then a copy past the caches is faster, and leaves others what they have there.
struct BlockCopy {
  /// Where the two ways cross, measured on a core with 512 KiB of its own cache and a share of 32 MiB.
  private static let streamingBytes = 4 << 20

  private let isStreaming: Bool

  /// - Parameter totalBytes: of all the blocks that will be copied.
  init(totalBytes: Int) { isStreaming = totalBytes >= Self.streamingBytes }

  /// - Precondition: `target` is as long as `source`.
  func copy(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    guard isStreaming else { return target.copyMemory(from: source) }
    xs_copy_streaming(target.baseAddress, source.baseAddress, source.count)
  }

  /// As `copy`, always past the caches: one pass over the bytes is worth more than two over what the first left there.
  /// - Parameter checksum: Of what was copied before.
  /// - Returns: The CRC32C of that and of what was copied.
  func copyWithChecksum(
    _ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer, after checksum: UInt32 = 0
  ) -> UInt32 {
    xs_copy_streaming_crc32c(checksum, target.baseAddress, source.baseAddress, source.count)
  }
}
