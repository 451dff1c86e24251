import KVBlocks

/// Which places of a bounded tier hold which blocks; of those that nobody works on, the one used longest ago gives way.
///
/// A place is *blank*, *reserved* (somebody writes to it, and nobody finds it) or *filled*; while it is pinned, its bytes
/// stay as they are. A value without bytes or lock.
struct TierIndex: Sendable {
  let capacity: Int
  private var places: [KVBlockName: KVBlockID] = [:]
  private var names: [KVBlockName?]
  private var pins: [Int32]
  /// Those without a pin: first the blank ones, then the one used longest ago.
  private var order: KVBlockQueue
  private(set) var evictions = 0

  init(capacity: Int) {
    self.capacity = capacity
    names = Array(repeating: nil, count: capacity)
    pins = Array(repeating: 0, count: capacity)
    order = KVBlockQueue(capacity: capacity)
    for place in 0..<capacity { order.pushLast(KVBlockID(Int32(place))) }
  }

  /// Blocks that can be found.
  var count: Int { places.count }

  func contains(_ name: KVBlockName) -> Bool { places[name] != nil }

  // MARK: A block comes

  /// Takes a place to write to, and what it held is lost: `fill` or `unpin` must follow.
  /// - Returns: nil if all are pinned.
  mutating func reserve() -> KVBlockID? {
    guard order.count > 0 else { return nil }
    let place = order.popFirst()
    if clear(place) { evictions += 1 }
    pins[Int(place.index)] = 1
    return place
  }

  /// From now on the block is found. It stays pinned by who wrote it.
  /// - Precondition: The place is reserved, and the name is nowhere else.
  mutating func fill(_ place: KVBlockID, _ name: KVBlockName) {
    precondition(pins[Int(place.index)] == 1 && names[Int(place.index)] == nil && places[name] == nil)
    names[Int(place.index)] = name
    places[name] = place
  }

  /// Fills a place whose block was there before this index was.
  /// - Precondition: The place is blank, and the name is nowhere else.
  mutating func restore(_ place: KVBlockID, _ name: KVBlockName) {
    order.remove(place)
    pins[Int(place.index)] = 1
    fill(place, name)
    unpin(place)
  }

  // MARK: A block is used

  /// - Returns: nil if it is not here.
  mutating func pin(_ name: KVBlockName) -> KVBlockID? {
    guard let place = places[name] else { return nil }
    if pins[Int(place.index)] == 0 { order.remove(place) }
    pins[Int(place.index)] += 1
    return place
  }

  /// Undoes one `pin` or `reserve`; of all filled places this one is now the last to give way.
  mutating func unpin(_ place: KVBlockID) {
    let number = Int(place.index)
    precondition(pins[number] > 0)
    pins[number] -= 1
    guard pins[number] == 0 else { return }
    if names[number] == nil { order.pushFirst(place) } else { order.pushLast(place) }
  }

  // MARK: A block goes

  /// The block is not found any more; its place is free when nobody pins it.
  mutating func remove(_ name: KVBlockName) {
    guard let place = places[name] else { return }
    clear(place)
    guard pins[Int(place.index)] == 0 else { return }
    order.remove(place)
    order.pushFirst(place)
  }

  mutating func removeAll() {
    for name in Array(places.keys) { remove(name) }
  }

  @discardableResult
  private mutating func clear(_ place: KVBlockID) -> Bool {
    guard let name = names[Int(place.index)] else { return false }
    names[Int(place.index)] = nil
    places[name] = nil
    return true
  }
}
