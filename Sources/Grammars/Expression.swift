/// What a piece of output may be, in bytes.
indirect enum Expression: Sendable {
  case empty
  case bytes(ByteSet)
  case sequence([Expression])
  case choice([Expression])
  /// So often at least, and at most; nil: without end.
  case repetition(Expression, Int, Int?)
  /// Another rule of the same grammar; rules may call each other and themselves.
  case rule(Int)

  static func literal(_ text: some Sequence<UInt8>) -> Expression { .sequence(text.map { .bytes(ByteSet($0)) }) }

  static func literal(_ text: String) -> Expression { literal(Array(text.utf8)) }

  static func optional(_ expression: Expression) -> Expression { .repetition(expression, 0, 1) }
}

/// Rules as the automaton runs them.
struct GrammarProgram: Sendable {
  enum Node: Sendable {
    case read(ByteSet, next: Int32)
    case fork([Int32])
    case call(rule: Int32, next: Int32)
    /// The rule's end.
    case finish
  }

  /// What a hostile or careless grammar may cost.
  static let maximumNodes = 50_000

  private(set) var nodes: [Node] = [.finish]
  private(set) var starts: [Int32] = []

  /// - Parameter rules: The first is the whole output.
  init(rules: [Expression]) throws(GrammarError) {
    for rule in rules { starts.append(try add(rule, before: 0)) }
  }

  private mutating func append(_ node: Node) throws(GrammarError) -> Int32 {
    guard nodes.count < Self.maximumNodes else { throw .tooLarge(limit: Self.maximumNodes) }
    nodes.append(node)
    return Int32(nodes.count - 1)
  }

  /// - Returns: Where the expression begins; it goes on at `next`.
  private mutating func add(_ expression: Expression, before next: Int32) throws(GrammarError) -> Int32 {
    switch expression {
    case .empty: return next
    case .bytes(let set): return try append(.read(set, next: next))
    case .rule(let rule): return try append(.call(rule: Int32(rule), next: next))
    case .sequence(let parts):
      var next = next
      for part in parts.reversed() { next = try add(part, before: next) }
      return next
    case .choice(let alternatives):
      var starts: [Int32] = []
      for alternative in alternatives { starts.append(try add(alternative, before: next)) }
      return try append(.fork(starts))
    case .repetition(let body, let least, let most): return try add(body, least, most, before: next)
    }
  }

  private mutating func add(
    _ body: Expression, _ least: Int, _ most: Int?, before next: Int32
  ) throws(GrammarError) -> Int32 {
    var start = next
    if let most {
      for _ in 0..<max(0, most - least) { start = try append(.fork([try add(body, before: start), next])) }
    } else {
      start = try append(.fork([]))
      nodes[Int(start)] = .fork([try add(body, before: start), next])
    }
    for _ in 0..<least { start = try add(body, before: start) }
    return start
  }
}
