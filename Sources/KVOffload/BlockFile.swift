import CLinux
import Glibc
import KVBlocks
import Synchronization

/// Blocks in two files of a folder: their bytes in one, place after place, and what is where in the other.
///
/// A block is written before its entry, and checked when it is read: after a crash, half of a write is a block that nobody
/// finds, or one whose checksum is wrong. Nothing is synced; what the system had not written yet is not there.
package final class BlockFile: BlockStorage {
  package let capacity: Int
  /// What was there at the start, the block used longest ago first.
  package let restored: [(place: KVBlockID, name: KVBlockName)]
  /// The order of the next write.
  package let firstOrder: UInt64
  private let header: BlockFileHeader
  private let data: OpenFile
  private let index: OpenFile
  /// Of what each place holds.
  private let checksums: Mutex<[UInt32]>

  /// Workers that may keep their KV in one folder.
  static let workersPerFolder = 64

  /// Opens the first files of `folder` that no worker has, and takes over what they hold if it is of this model and layout.
  /// - Parameter root: The name of the empty prompt.
  package init(folder: String, capacity: Int, bytesPerBlock: Int, root: KVBlockName) throws(OffloadError) {
    self.capacity = capacity
    header = BlockFileHeader(root: root, bytesPerBlock: bytesPerBlock)
    (index, data) = try Self.open(folder)
    // What the data file does not have in full is not there.
    let blocks = min(capacity, try data.size() / bytesPerBlock)
    var entries = try Self.entries(index, header, capacity: blocks)
    if entries.isEmpty { try index.truncate(to: 0) }
    try index.write(header.encoded, at: 0)
    // Less room than at the last start: what is beyond it goes.
    if try data.size() > capacity * bytesPerBlock { try data.truncate(to: capacity * bytesPerBlock) }
    if try index.size() > Self.offset(of: capacity) { try index.truncate(to: Self.offset(of: capacity)) }
    entries.sort { $0.entry.order < $1.entry.order }
    // Of two places with one block, the later counts.
    var names: Set<KVBlockName> = []
    entries = Array(entries.reversed().filter { names.insert($0.entry.name).inserted }.reversed())
    var checksums = [UInt32](repeating: 0, count: capacity)
    for (place, entry) in entries { checksums[place] = entry.checksum }
    firstOrder = (entries.last?.entry.order).map { $0 &+ 1 } ?? 0
    restored = entries.map { (KVBlockID(Int32($0.place)), $0.entry.name) }
    self.checksums = Mutex(checksums)
  }

  package var path: String { data.path }

  package func write(
    _ bytes: UnsafeRawBufferPointer, named name: KVBlockName, order: UInt64, to place: KVBlockID
  ) throws(OffloadError) {
    let checksum = xs_crc32c(0, bytes.baseAddress!, bytes.count)
    checksums.withLock { $0[Int(place.index)] = checksum }
    try data.write(bytes, at: Int(place.index) * header.bytesPerBlock)
    let entry = BlockEntry(name: name, order: order, checksum: checksum)
    try index.write(entry.encoded, at: Self.offset(of: Int(place.index)))
  }

  package func read(from place: KVBlockID, into bytes: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    let count = try data.read(into: bytes, at: Int(place.index) * header.bytesPerBlock)
    let checksum = checksums.withLock { $0[Int(place.index)] }
    guard count == bytes.count, xs_crc32c(0, bytes.baseAddress!, count) == checksum else { throw .corruptBlock }
  }

  package func forget() throws(OffloadError) { try index.truncate(to: Self.offset(of: 0)) }

  // MARK: At the start

  private static func offset(of place: Int) -> Int { BlockFileHeader.byteCount + place * BlockEntry.byteCount }

  private static func open(_ folder: String) throws(OffloadError) -> (index: OpenFile, data: OpenFile) {
    // Whatever of the path is missing; if it cannot be made, opening the file tells why.
    for end in folder.indices.dropFirst() where folder[end] == "/" { mkdir(String(folder[..<end]), 0o700) }
    mkdir(folder, 0o700)
    for number in 0..<workersPerFolder {
      let index = try OpenFile("\(folder)/xpyd-kv-\(number).index")
      if index.lock() { return (index, try OpenFile("\(folder)/xpyd-kv-\(number).data")) }
    }
    throw .folderInUse(path: folder, workers: workersPerFolder)
  }

  /// - Returns: Nothing if the file is new, or of another model or layout.
  /// - Throws: `foreignFile` if it is not one of ours.
  private static func entries(
    _ index: OpenFile, _ header: BlockFileHeader, capacity: Int
  ) throws(OffloadError) -> [(place: Int, entry: BlockEntry)] {
    let bytes = try index.prefix(min(try index.size(), offset(of: capacity)))
    let magic = bytes.prefix(BlockFileHeader.magic.count)
    guard magic.allSatisfy({ $0 == 0 }) || Array(magic) == BlockFileHeader.magic else {
      throw .foreignFile(path: index.path)
    }
    guard Array(bytes.prefix(BlockFileHeader.byteCount)) == header.encoded else { return [] }
    return bytes.withUnsafeBytes { bytes in
      (0..<(bytes.count - BlockFileHeader.byteCount) / BlockEntry.byteCount).compactMap { place in
        let range = offset(of: place)..<offset(of: place + 1)
        return BlockEntry(decoding: UnsafeRawBufferPointer(rebasing: bytes[range])).map { (place, $0) }
      }
    }
  }
}
