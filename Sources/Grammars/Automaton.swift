/// Runs a grammar over bytes, and remembers what it found: each state and each step is worked out once.
///
/// A state is a set of items, each a place in the grammar and a stack of where to go on after the rule that it is in.
/// Stacks are shared (equal ones are one), so a state is a sorted list of numbers and equal states are one too. What
/// makes the states few is that an output is mostly in few of them: in a string, every letter leads back.
struct Automaton {
  typealias State = Int32
  static let dead: State = 0

  /// Rules in rules, in an output: deeper JSON is not begun.
  private static let maximumDepth = 256
  /// Ways in which an output can be read at once; more are forgotten.
  private static let maximumItems = 4096
  private static let unknown: State = -1

  private let program: GrammarProgram
  /// Stack 0 is empty; the others are a place and a stack below it.
  private var stackPlaces: [Int32] = [0]
  private var stackBelow: [Int32] = [0]
  private var stackDepths: [Int32] = [0]
  private var stacks: [UInt64: Int32] = [:]
  /// Of each state its items, sorted: place in the upper half, stack in the lower.
  private var items: [[UInt64]] = []
  private var accepts: [Bool] = []
  private var states: [Key: State] = [:]
  /// `[state, byte]`
  private var steps: [State] = []
  private(set) var start: State = 0

  private struct Key: Hashable {
    var items: [UInt64]
    var accepts: Bool
  }

  init(_ program: GrammarProgram) {
    self.program = program
    _ = intern(Key(items: [], accepts: false))
    var closure = Closure()
    close(Self.item(program.starts[0], 0), into: &closure)
    start = intern(closure)
  }

  var stateCount: Int { items.count }

  /// The output may end here.
  func accepts(_ state: State) -> Bool { accepts[Int(state)] }

  /// What working out a step from here costs.
  func size(of state: State) -> Int { items[Int(state)].count }

  mutating func step(_ state: State, _ byte: UInt8) -> State {
    let known = steps[Int(state) << 8 | Int(byte)]
    return known == Self.unknown ? find(state, byte) : known
  }

  private mutating func find(_ state: State, _ byte: UInt8) -> State {
    var closure = Closure()
    for item in items[Int(state)] {
      guard case .read(let set, let next) = program.nodes[Int(item >> 32)], set.contains(byte) else { continue }
      close(Self.item(next, Int32(truncatingIfNeeded: item)), into: &closure)
    }
    let next = intern(closure)
    steps[Int(state) << 8 | Int(byte)] = next
    return next
  }

  // MARK: What can be read next

  private struct Closure {
    var seen: Set<UInt64> = []
    var items: [UInt64] = []
    var accepts = false
  }

  private static func item(_ place: Int32, _ stack: Int32) -> UInt64 { UInt64(place) << 32 | UInt64(stack) }

  private mutating func close(_ first: UInt64, into closure: inout Closure) {
    var open = [first]
    while let item = open.popLast() {
      guard closure.items.count < Self.maximumItems, closure.seen.insert(item).inserted else { continue }
      let stack = Int32(truncatingIfNeeded: item)
      switch program.nodes[Int(item >> 32)] {
      case .read: closure.items.append(item)
      case .fork(let ways): open += ways.reversed().map { Self.item($0, stack) }
      case .call(let rule, let next):
        if let stack = push(next, on: stack) { open.append(Self.item(program.starts[Int(rule)], stack)) }
      case .finish where stack == 0: closure.accepts = true
      case .finish: open.append(Self.item(stackPlaces[Int(stack)], stackBelow[Int(stack)]))
      }
    }
  }

  /// - Returns: nil if the stack is too deep.
  private mutating func push(_ place: Int32, on stack: Int32) -> Int32? {
    // A rule that ends with a call leaves nothing to come back to.
    if case .finish = program.nodes[Int(place)] { return stack }
    guard stackDepths[Int(stack)] < Self.maximumDepth else { return nil }
    let key = Self.item(place, stack)
    if let known = stacks[key] { return known }
    stackPlaces.append(place)
    stackBelow.append(stack)
    stackDepths.append(stackDepths[Int(stack)] + 1)
    let new = Int32(stackPlaces.count - 1)
    stacks[key] = new
    return new
  }

  private mutating func intern(_ closure: Closure) -> State {
    intern(Key(items: closure.items.sorted(), accepts: closure.accepts))
  }

  private mutating func intern(_ key: Key) -> State {
    if let known = states[key] { return known }
    let new = State(items.count)
    items.append(key.items)
    accepts.append(key.accepts)
    states[key] = new
    steps += repeatElement(key.items.isEmpty ? Self.dead : Self.unknown, count: 256)
    return new
  }
}
