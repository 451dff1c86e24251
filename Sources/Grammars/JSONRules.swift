/// The rules of JSON text (RFC 8259), as far as outputs need them.
///
/// Numbers have at most 16 digits in each part, so that none goes on without end.
struct JSONRules {
  /// Between tokens: nothing, a space, or a new line and up to 20 spaces, as llama.cpp has it: a model that may write any
  /// white space can write it for ever.
  let space: Expression

  init(allowsWhitespace: Bool) {
    let spaces = Expression.repetition(.bytes(ByteSet(0x20)), 0, 20)
    space =
      allowsWhitespace
      ? .optional(.choice([.bytes(ByteSet(0x20)), .sequence([.bytes(ByteSet(0x0A)), spaces])])) : .empty
  }

  static let digit = Expression.bytes(ByteSet(0x30...0x39))

  /// One character of a string.
  static let character: Expression = {
    let hex = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66]).expression
    // Surrogates are left out, which only mean something in pairs.
    let unicode = Expression.sequence([
      .literal("\\u"),
      .choice([
        .sequence([ScalarSet([0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66]).expression, hex]),
        .sequence([ScalarSet([0x44...0x44, 0x64...0x64]).expression, .bytes(ByteSet(0x30...0x37))]),
      ]), hex, hex,
    ])
    let escapes = ScalarSet("\"\\/bfnrt".unicodeScalars.map { $0.value...$0.value }).expression
    let plain = ScalarSet([0x00...0x1F, 0x22...0x22, 0x5C...0x5C]).complement.expression
    return .choice([plain, .sequence([.bytes(ByteSet(0x5C)), escapes]), unicode])
  }()

  static let natural = Expression.choice([
    .bytes(ByteSet(0x30)), .sequence([.bytes(ByteSet(0x31...0x39)), .repetition(digit, 0, 15)]),
  ])

  static let integer = Expression.sequence([.optional(.literal("-")), natural])

  /// - Parameter isSigned: May be below zero.
  static func number(isSigned: Bool) -> Expression {
    let fraction = Expression.sequence([.literal("."), .repetition(digit, 1, 16)])
    let signs = Expression.optional(.choice([.literal("+"), .literal("-")]))
    let exponent = Expression.sequence([
      .choice([.literal("e"), .literal("E")]), signs, .repetition(digit, 1, 3),
    ])
    return .sequence([isSigned ? integer : natural, .optional(fraction), .optional(exponent)])
  }

  static let string = quoted(.repetition(character, 0, nil))
  static let boolean = Expression.choice([.literal("true"), .literal("false")])
  static let null = Expression.literal("null")

  static func quoted(_ body: Expression) -> Expression { .sequence([.literal("\""), body, .literal("\"")]) }

  /// `open`, members with commas between them, `close`.
  func list(_ open: String, _ members: Expression, _ close: String) -> Expression {
    .sequence([.literal(open), space, members, space, .literal(close)])
  }

  var comma: Expression { .sequence([.literal(","), space]) }

  func member(_ name: Expression, _ value: Expression) -> Expression {
    .sequence([name, .literal(":"), space, value])
  }

  /// `least` to `most` of `member`, with commas.
  func members(_ member: Expression, least: Int = 0, most: Int? = nil) -> Expression {
    guard most != 0 else { return .empty }
    let more = Expression.repetition(.sequence([comma, member]), max(0, least - 1), most.map { $0 - 1 })
    let some = Expression.sequence([member, more])
    return least == 0 ? .optional(some) : some
  }
}

/// Integers between two bounds, in decimal.
enum IntegerRange {
  private static let limit: Int64 = 9_999_999_999_999_999

  /// - Returns: nil if there is none.
  static func expression(from low: Int64?, to high: Int64?) -> Expression? {
    let (low, high) = (max(low ?? -limit, -limit), min(high ?? limit, limit))
    guard low <= high else { return nil }
    var parts: [Expression] = []
    if low < 0 { parts.append(.sequence([.literal("-"), naturals(from: max(1, -min(high, -1)), to: -low)])) }
    if high >= 0 { parts.append(naturals(from: max(0, low), to: high)) }
    return .choice(parts)
  }

  private static func naturals(from low: Int64, to high: Int64) -> Expression {
    var parts: [Expression] = []
    var (first, size) = (Int64(0), Int64(10))
    while first <= high {
      let (from, to) = (max(low, first), min(high, size - 1))
      if from <= to { parts.append(digits(Array("\(from)".utf8)[...], Array("\(to)".utf8)[...])) }
      (first, size) = (size, size * 10)
    }
    return .choice(parts)
  }

  /// - Precondition: As many digits in both.
  private static func digits(_ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>) -> Expression {
    guard let first = low.first, let last = high.first else { return .empty }
    let (zero, nine) = (UInt8(ascii: "0"), UInt8(ascii: "9"))
    let (lows, highs) = (low.dropFirst(), high.dropFirst())
    let any = Expression.repetition(JSONRules.digit, lows.count, lows.count)
    if first == last { return .sequence([.bytes(ByteSet(first)), digits(lows, highs)]) }
    var parts: [Expression] = []
    var (from, to) = (first, last)
    if lows.contains(where: { $0 != zero }) {
      parts.append(.sequence([.bytes(ByteSet(first)), digits(lows, ArraySlice(lows.map { _ in nine }))]))
      from += 1
    }
    if highs.contains(where: { $0 != nine }) {
      parts.append(.sequence([.bytes(ByteSet(last)), digits(ArraySlice(highs.map { _ in zero }), highs)]))
      to -= 1
    }
    if from <= to { parts.append(.sequence([.bytes(ByteSet(from...to)), any])) }
    return .choice(parts)
  }
}
