/// The bytes that each token stands for, one after the other in one array.
struct TokenPieces: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [Int] = []
  private(set) var longest = 0

  var count: Int { ends.count }

  subscript(id: Int32) -> ArraySlice<UInt8> {
    let index = Int(id)
    return bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
  }

  mutating func append(_ piece: some Collection<UInt8>) {
    bytes.append(contentsOf: piece)
    ends.append(bytes.count)
    longest = max(longest, piece.count)
  }
}

/// Finds the token that stands for given bytes, among those put in: an open hash table of ids.
///
/// Not a dictionary of strings, because Swift's strings are equal when they are canonically equivalent (`Å` as U+00C5
/// and as U+212B), and tokens are not.
struct TokenIndex: Sendable {
  private let pieces: TokenPieces
  private var slots: [Int32]

  /// - Parameter ids: Of these, the first with given bytes is found; empty pieces are not.
  init(_ pieces: TokenPieces, ids: some Sequence<Int32>) {
    self.pieces = pieces
    var capacity = 16
    while capacity < pieces.count * 2 { capacity *= 2 }
    slots = Array(repeating: -1, count: capacity)
    for id in ids where !pieces[id].isEmpty {
      let slot = pieces[id].withUnsafeBufferPointer { self.slot(of: $0) }
      if slots[slot] < 0 { slots[slot] = id }
    }
  }

  func id(of bytes: UnsafeBufferPointer<UInt8>) -> Int32? {
    guard bytes.count <= pieces.longest, !bytes.isEmpty else { return nil }
    let id = slots[slot(of: bytes)]
    return id < 0 ? nil : id
  }

  func id(of bytes: [UInt8]) -> Int32? { bytes.withUnsafeBufferPointer { id(of: $0) } }

  /// The slot that holds the token of these bytes, or the free one where it belongs: at most half are taken.
  private func slot(of bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & mask
    while slots[slot] >= 0, !pieces[slots[slot]].elementsEqual(bytes) { slot = (slot + 1) & mask }
    return slot
  }
}
