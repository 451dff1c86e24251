/// Which prompt blocks one worker has seen lately: a trie whose edges lie in the hashes, because a block's hash covers all
/// before it. Beyond `capacity` the block that was longest out of use leaves. A block is never used without those before
/// it, so a leaf leaves before its stem, and what is known of a prompt is always a prefix.
package struct SeenPrefixes: Sendable {
  /// 16,384 blocks are 4 MiB of text, about a million tokens: the KV memory of a large worker.
  package static let usualCapacity = 16_384
  private let capacity: Int
  /// A hash table of places: the first of each bucket, and by place the next in its bucket; -1 ends it. (The keys are
  /// hashes already; a `Dictionary`, which hashes them again, took twice as long.)
  private var buckets: [Int32]
  private var nextInBucket: [Int32] = []
  /// Keeps a client from writing prompts that all fall into one bucket.
  private let secret: UInt64
  /// By place: the block, and its neighbours in a list from the newest to the oldest; -1 ends it.
  private var hashes: [UInt64] = []
  private var newer: [Int32] = []
  private var older: [Int32] = []
  private var newest: Int32 = -1
  private var oldest: Int32 = -1

  /// - Parameter capacity: In blocks, at least 1.
  package init(capacity: Int = SeenPrefixes.usualCapacity, secret: UInt64 = .random(in: .min ... .max)) {
    precondition(capacity > 0)
    self.capacity = capacity
    self.secret = secret
    buckets = Array(repeating: -1, count: 1 << (Int.bitWidth - (capacity - 1).leadingZeroBitCount))
  }

  package var count: Int { hashes.count }

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
    while place >= 0, hashes[Int(place)] != hash { place = nextInBucket[Int(place)] }
    return place < 0 ? nil : place
  }

  private mutating func freePlace(for hash: UInt64) -> Int32 {
    let place: Int32
    if hashes.count < capacity {
      place = Int32(hashes.count)
      hashes.append(hash)
      nextInBucket.append(-1)
      newer.append(-1)
      older.append(-1)
    } else {
      place = oldest
      removeFromBucket(place)
      unlink(place)
      hashes[Int(place)] = hash
    }
    let bucket = bucket(of: hash)
    nextInBucket[Int(place)] = buckets[bucket]
    buckets[bucket] = place
    return place
  }

  private mutating func removeFromBucket(_ place: Int32) {
    let bucket = bucket(of: hashes[Int(place)])
    guard buckets[bucket] != place else { return buckets[bucket] = nextInBucket[Int(place)] }
    var before = buckets[bucket]
    while nextInBucket[Int(before)] != place { before = nextInBucket[Int(before)] }
    nextInBucket[Int(before)] = nextInBucket[Int(place)]
  }

  private mutating func unlink(_ place: Int32) {
    let (next, previous) = (newer[Int(place)], older[Int(place)])
    if next >= 0 { older[Int(next)] = previous } else { newest = previous }
    if previous >= 0 { newer[Int(previous)] = next } else { oldest = next }
  }

  private mutating func linkAsNewest(_ place: Int32) {
    newer[Int(place)] = -1
    older[Int(place)] = newest
    if newest >= 0 { newer[Int(newest)] = place } else { oldest = place }
    newest = place
  }
}
