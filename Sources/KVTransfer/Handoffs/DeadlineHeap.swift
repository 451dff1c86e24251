/// Deadlines in a binary heap, the earliest first.
struct DeadlineHeap<Element: Sendable>: Sendable {
  private var items: [(deadline: ContinuousClock.Instant, element: Element)] = []

  var first: (deadline: ContinuousClock.Instant, element: Element)? { items.first }

  mutating func insert(_ element: Element, at deadline: ContinuousClock.Instant) {
    items.append((deadline, element))
    var child = items.count - 1
    while child > 0, items[child].deadline < items[(child - 1) / 2].deadline {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() {
    items.swapAt(0, items.count - 1)
    items.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < items.count && items[child].deadline < items[least].deadline {
        least = child
      }
      if least == parent { return }
      items.swapAt(parent, least)
      parent = least
    }
  }
}
