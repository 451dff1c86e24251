import KVBlocks

/// Which block is in memory, which on disk, and who works on it: all that `OffloadStore` decides.
///
/// A block comes into memory (`admit` → `admitted`), and from there to the disk (`beginWrite` → `endWrite`); both keep it, until
/// others need the room. Who reads pins what it found until `release`. A value without bytes, files or clock.
package struct OffloadLedger: Sendable {
  /// Where a block was found; pinned there.
  package enum Source: Sendable, Equatable {
    case memory(KVBlockID)
    case disk(KVBlockID, KVBlockName)
  }

  private var memory: TierIndex
  /// nil: there is none, or it has failed.
  private var disk: TierIndex?
  /// Blocks in memory that wait for the disk, at most half of those that memory holds: so there is always room for more.
  private var unwritten = 0
  /// Reads that the disk has not answered in time, and not yet. An end may be told before its beginning.
  private var overdueReads = 0
  /// How many times all was forgotten: what was on its way before is not kept.
  private var generation = 0
  private var counters = OffloadStatistics()

  /// - Parameters:
  ///   - disk: Blocks that it has room for; 0: there is none.
  ///   - restored: What the disk holds from before, the one used longest ago first.
  package init(memory: Int, disk: Int, restored: [(place: KVBlockID, name: KVBlockName)] = []) {
    self.memory = TierIndex(capacity: memory)
    guard disk > 0 else { return }
    self.disk = TierIndex(capacity: disk, restored)
  }

  package var statistics: OffloadStatistics {
    var statistics = counters
    statistics[.memory].blocks = memory.count
    statistics[.memory].evictions = memory.evictions
    statistics[.disk].blocks = disk?.count ?? 0
    statistics[.disk].evictions += disk?.evictions ?? 0
    statistics.hasDisk = disk != nil
    return statistics
  }

  // MARK: A block comes

  /// - Returns: The place in memory to write to, for `admitted`; nil if the block is there already, or there is no room.
  package mutating func admit(_ name: KVBlockName) -> KVBlockID? {
    if let known = memory.pin(name) {
      memory.unpin(known)
      return nil
    }
    let place = memory.reserve()
    if place == nil { counters[.memory].dropped += 1 }
    return place
  }

  /// The block is in its place.
  /// - Returns: True if it is to go to the disk: it stays pinned until `endWrite`.
  package mutating func admitted(_ name: KVBlockName, at place: KVBlockID) -> Bool {
    memory.fill(place, name)
    counters[.memory].stored += 1
    if let disk, !disk.contains(name) {
      if unwritten < memory.capacity / 2 {
        unwritten += 1
        return true
      }
      counters[.disk].dropped += 1
    }
    memory.unpin(place)
    return false
  }

  /// As many blocks wait for the disk as may.
  package var isBehind: Bool { disk != nil && unwritten >= memory.capacity / 2 }

  /// A place on disk, and the generation that it is of, for `endWrite`.
  package struct Write: Sendable {
    package var place: KVBlockID
    fileprivate var generation: Int
  }

  /// - Returns: nil if the block is on disk already, or is not to be kept any more.
  package mutating func beginWrite(_ name: KVBlockName) -> Write? {
    guard let known = disk?.contains(name), !known, memory.contains(name), let place = disk?.reserve() else {
      return nil
    }
    return Write(place: place, generation: generation)
  }

  /// Must follow each `admitted` that was true.
  /// - Parameters:
  ///   - place: in memory.
  ///   - write: What was written; nil: nothing, or it failed.
  package mutating func endWrite(_ name: KVBlockName, from place: KVBlockID, _ write: Write?, succeeded: Bool) {
    unwritten -= 1
    memory.unpin(place)
    guard let write else { return }
    if succeeded, write.generation == generation {
      disk?.fill(write.place, name)
      counters[.disk].stored += 1
    }
    disk?.unpin(write.place)
  }

  // MARK: Blocks are found

  /// The longest prefix of `names` that is here, pinned.
  /// - Parameters:
  ///   - count: How many blocks are wanted.
  ///   - next: The following block's name.
  package mutating func find(_ count: Int, _ next: () -> KVBlockName) -> [Source] {
    var sources: [Source] = []
    while sources.count < count, let source = find(next()) { sources.append(source) }
    let inMemory = sources.count { if case .memory = $0 { true } else { false } }
    counters[.memory].hits += inMemory
    counters[.memory].misses += count - inMemory
    guard disk != nil else { return sources }
    counters[.disk].hits += sources.count - inMemory
    counters[.disk].misses += count - sources.count
    return sources
  }

  private mutating func find(_ name: KVBlockName) -> Source? {
    if let place = memory.pin(name) { return .memory(place) }
    // A disk that hangs has nothing.
    guard overdueReads <= 0, let place = disk?.pin(name) else { return nil }
    return .disk(place, name)
  }

  /// - Parameter loaded: How many of them were read.
  package mutating func release(_ sources: [Source], loaded: Int) {
    for (index, source) in sources.enumerated() {
      switch source {
      case .memory(let place):
        memory.unpin(place)
        if index < loaded { counters[.memory].loaded += 1 }
      case .disk(let place, _):
        disk?.unpin(place)
        if index < loaded { counters[.disk].loaded += 1 }
      }
    }
  }

  // MARK: Faults

  /// A block on disk is not what it was: nobody finds it again.
  package mutating func lose(_ name: KVBlockName, _ error: OffloadError) {
    disk?.remove(name)
    counters.failures[error.label, default: 0] += 1
  }

  /// The disk takes no more, or gives none back: from now on there is memory alone.
  package mutating func loseDisk(_ error: OffloadError) {
    counters.failures[error.label, default: 0] += 1
    counters[.disk].evictions += disk?.evictions ?? 0
    disk = nil
  }

  package mutating func readIsOverdue() {
    overdueReads += 1
    counters.failures["overdue", default: 0] += 1
  }

  package mutating func overdueReadEnded() { overdueReads -= 1 }

  /// From now on nothing is found that came before.
  package mutating func forget() {
    generation += 1
    memory.removeAll()
    disk?.removeAll()
  }
}

extension TierIndex {
  fileprivate init(capacity: Int, _ restored: [(place: KVBlockID, name: KVBlockName)]) {
    self.init(capacity: capacity)
    for (place, name) in restored { restore(place, name) }
  }
}
