/// Which prompt blocks one worker has seen lately: a trie whose edges lie in the hashes, because a block's hash covers all
/// before it. Beyond `capacity` the block that was longest out of use leaves. A block is never used without those before
/// it, so a leaf leaves before its stem, and what is known of a prompt is always a prefix.
package struct SeenPrefixes: Sendable {
  /// A block with its neighbours, which are named by place; -1 is nobody.
  private struct Entry {
    var hash: UInt64
    var nextInBucket: Int32 = -1
    /// In a list of all blocks by their last use.
    var newer: Int32 = -1
    var older: Int32 = -1
  }

  /// 8,192 blocks are 4 MiB of text, about a million tokens: the KV memory of a large worker.
  package static let usualCapacity = 8_192
  private let capacity: Int
  /// A hash table of their own: the first place of each bucket. (The keys are hashes already; a `Dictionary`, which hashes
  /// them again, and whose values lie elsewhere, takes several times as long.)
  private var buckets: [Int32]
  private var entries: [Entry] = []
  private var newest: Int32 = -1
  private var oldest: Int32 = -1
  /// Keeps a client from writing prompts that all fall into one bucket.
  private let secret: UInt64

  /// - Parameter capacity: In blocks, at least 1.
  package init(capacity: Int = SeenPrefixes.usualCapacity, secret: UInt64 = .random(in: .min ... .max)) {
    precondition(capacity > 0)
    self.capacity = capacity
    self.secret = secret
    buckets = Array(repeating: -1, count: 1 << (Int.bitWidth - (capacity - 1).leadingZeroBitCount))
  }

  package var count: Int { entries.count }

  /// How many blocks, from the first on, are known.
  package func length(of blocks: [UInt64]) -> Int {
    var (known, unknown) = (0, blocks.count)
    while known < unknown {
      let middle = (known + unknown) / 2
      if place(of: blocks[middle]) == nil { unknown = middle } else { known = middle + 1 }
    }
    return known
  }

  /// Makes the blocks the newest, the first one last of all.
  package mutating func insert(_ blocks: [UInt64]) {
    for hash in blocks.prefix(capacity).reversed() {
      if let place = place(of: hash) {
        unlink(place)
        linkAsNewest(place)
      } else {
        linkAsNewest(freePlace(for: hash))
      }
    }
  }

  private func bucket(of hash: UInt64) -> Int { Int(StableHash.mix(hash ^ secret) & UInt64(buckets.count - 1)) }

  private func place(of hash: UInt64) -> Int32? {
    var place = buckets[bucket(of: hash)]
    while place >= 0, entries[Int(place)].hash != hash { place = entries[Int(place)].nextInBucket }
    return place < 0 ? nil : place
  }

  private mutating func freePlace(for hash: UInt64) -> Int32 {
    let bucket = bucket(of: hash)
    let place: Int32
    if entries.count < capacity {
      place = Int32(entries.count)
      entries.append(Entry(hash: hash))
    } else {
      place = oldest
      removeFromBucket(place)
      unlink(place)
      entries[Int(place)].hash = hash
    }
    entries[Int(place)].nextInBucket = buckets[bucket]
    buckets[bucket] = place
    return place
  }

  private mutating func removeFromBucket(_ place: Int32) {
    let bucket = bucket(of: entries[Int(place)].hash)
    let next = entries[Int(place)].nextInBucket
    guard buckets[bucket] != place else { return buckets[bucket] = next }
    var before = buckets[bucket]
    while entries[Int(before)].nextInBucket != place { before = entries[Int(before)].nextInBucket }
    entries[Int(before)].nextInBucket = next
  }

  private mutating func unlink(_ place: Int32) {
    let (newer, older) = (entries[Int(place)].newer, entries[Int(place)].older)
    if newer >= 0 { entries[Int(newer)].older = older } else { newest = older }
    if older >= 0 { entries[Int(older)].newer = newer } else { oldest = newer }
  }

  private mutating func linkAsNewest(_ place: Int32) {
    entries[Int(place)].newer = -1
    entries[Int(place)].older = newest
    if newest >= 0 { entries[Int(newest)].newer = place } else { oldest = place }
    newest = place
  }
}
