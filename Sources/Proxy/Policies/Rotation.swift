import Synchronization

/// Numbers requests in the order of their arrival over all event loops.
final class Rotation: Sendable {
  private let count = Atomic(0)

  func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).oldValue & Int.max }
}
