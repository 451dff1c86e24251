import CLinux
import KVBlocks

/// What the index file tells of one place: which block is there, and how its bytes are checked.
///
/// 64 bytes, little-endian: name, order (8), checksum of the block's bytes (4), zeros, checksum of all before (4). An entry that
/// was never written is all zeros, and counts as none.
struct BlockEntry: Sendable, Equatable {
  static let byteCount = 64

  var name: KVBlockName
  var order: UInt64
  var checksum: UInt32

  init(name: KVBlockName, order: UInt64, checksum: UInt32) {
    self.name = name
    self.order = order
    self.checksum = checksum
  }

  /// - Returns: nil if nothing is there, or not all of it is as it was written.
  init?(decoding bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Self.byteCount, Checksum.isSealed(bytes) else { return nil }
    name = KVBlockName(bytes: UnsafeRawBufferPointer(rebasing: bytes[..<KVBlockName.byteCount]))
    order = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
    checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self))
  }

  var encoded: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.withUnsafeMutableBytes { bytes in
      name.withUnsafeBytes { bytes.copyMemory(from: $0) }
      bytes.storeBytes(of: order.littleEndian, toByteOffset: 32, as: UInt64.self)
      bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 40, as: UInt32.self)
      Checksum.seal(bytes)
    }
    return bytes
  }
}

/// The index file's first 64 bytes: whose blocks these are.
///
/// Little-endian: "XPYDKV01", the name of the empty prompt (which tells model and layout), bytes per block (8), zeros,
/// checksum of all before (4).
struct BlockFileHeader: Sendable, Equatable {
  static let byteCount = 64
  static let magic = Array("XPYDKV01".utf8)

  var root: KVBlockName
  var bytesPerBlock: Int

  var encoded: [UInt8] {
    var bytes = Self.magic + [UInt8](repeating: 0, count: Self.byteCount - Self.magic.count)
    bytes.withUnsafeMutableBytes { bytes in
      root.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: bytes[8..<40]).copyMemory(from: $0) }
      bytes.storeBytes(of: UInt64(bytesPerBlock).littleEndian, toByteOffset: 40, as: UInt64.self)
      Checksum.seal(bytes)
    }
    return bytes
  }
}

/// CRC32C over all of a record but its last four bytes, which are it.
private enum Checksum {
  static func seal(_ bytes: UnsafeMutableRawBufferPointer) {
    let end = bytes.count - 4
    bytes.storeBytes(of: xs_crc32c(0, bytes.baseAddress!, end).littleEndian, toByteOffset: end, as: UInt32.self)
  }

  static func isSealed(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let end = bytes.count - 4
    let seal = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt32.self))
    return seal == xs_crc32c(0, bytes.baseAddress!, end) && bytes[..<end].contains { $0 != 0 }
  }
}
