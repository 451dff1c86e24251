/// How much evicted KV a worker keeps, and where.
package struct OffloadConfiguration: Sendable, Equatable {
  package struct Disk: Sendable, Equatable {
    /// Made if it is not there. Several workers may name the same one: each has files of its own in it.
    package var folder: String
    package var bytes: Int

    package init(folder: String, bytes: Int) {
      self.folder = folder
      self.bytes = bytes
    }
  }

  /// What the memory tier may hold. With a disk and less than this, 64 MiB are used on the way there.
  package var memoryBytes: Int
  package var disk: Disk?
  /// How long a prompt waits for the disk; then it is computed from where the KV ends that has come.
  package var patience = Duration.seconds(2)
  /// How long a worker that ends writes what its pool and memory still hold to the disk.
  package var flushTime = Duration.seconds(5)

  package init(memoryBytes: Int, disk: Disk? = nil) {
    self.memoryBytes = memoryBytes
    self.disk = disk
  }

  static let leastOnTheWay = 64 << 20

  /// - Throws: `tierTooSmall` if a tier that is wanted holds no block.
  func capacities(bytesPerBlock: Int) throws(OffloadError) -> (memory: Int, disk: Int) {
    let onDisk = try disk.map { disk throws(OffloadError) in
      try Self.blocks(disk.bytes, bytesPerBlock, .disk)
    }
    guard let onDisk else { return (try Self.blocks(memoryBytes, bytesPerBlock, .memory), 0) }
    // Two at least: one goes to the disk while the next comes.
    let least = max(2, min(onDisk, Self.leastOnTheWay / bytesPerBlock))
    return (min(Int(Int32.max), max(least, memoryBytes / bytesPerBlock)), onDisk)
  }

  private static func blocks(_ bytes: Int, _ bytesPerBlock: Int, _ tier: OffloadTier) throws(OffloadError) -> Int {
    guard bytes >= bytesPerBlock else {
      throw .tierTooSmall(tier, bytes: bytes, bytesPerBlock: bytesPerBlock)
    }
    return min(bytes / bytesPerBlock, Int(Int32.max))
  }
}

/// Where evicted KV may be; the raw value is for metrics.
package enum OffloadTier: String, Sendable, CaseIterable {
  case memory
  case disk
}
