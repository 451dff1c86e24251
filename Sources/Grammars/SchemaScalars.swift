import ServingAPI

/// Strings and numbers of a JSON schema.
enum SchemaScalars {
  static func string(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    if let pattern = schema["pattern"]?.stringValue {
      try schema.allow(["type", "pattern"])
      return JSONRules.quoted(try RegexParser.parse(pattern, isSearch: true) { $0.jsonExpression })
    }
    if let format = schema["format"]?.stringValue, let pattern = formats[format] {
      try schema.allow(["type", "format"])
      return JSONRules.quoted(try RegexParser.parse(pattern) { $0.jsonExpression })
    }
    // An unknown format only describes, as JSON Schema has it.
    try schema.allow(["type", "minLength", "maxLength", "format"])
    let (least, most) = (try schema.count("minLength") ?? 0, try schema.count("maxLength"))
    guard most ?? least >= least else { throw .matchesNothing }
    return JSONRules.quoted(.repetition(JSONRules.character, least, most))
  }

  static func integer(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    try schema.allow(["type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"])
    guard schema.hasAny(of: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]) else {
      return JSONRules.integer
    }
    let lows = [try bound("minimum", schema, .up), try bound("exclusiveMinimum", schema, .down).map { $0 + 1 }]
    let highs = [try bound("maximum", schema, .down), try bound("exclusiveMaximum", schema, .up).map { $0 - 1 }]
    guard
      let expression = IntegerRange.expression(from: lows.compactMap(\.self).max(), to: highs.compactMap(\.self).min())
    else { throw .matchesNothing }
    return expression
  }

  /// Of the bounds only `"minimum": 0` is read: others are no matter of digits alone.
  static func number(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    let minimum = schema["minimum"]
    let isNatural = minimum == 0 || minimum == .number(0)
    try schema.allow(isNatural ? ["type", "format", "minimum"] : ["type", "format"])
    return JSONRules.number(isSigned: !isNatural)
  }

  private static func bound(
    _ keyword: String, _ schema: SchemaFields, _ rounding: FloatingPointRoundingRule
  ) throws(GrammarError) -> Int64? {
    switch schema[keyword] {
    case nil: return nil
    // Far beyond the digits that are written, and far from overflow.
    case .integer(let value)?: return min(max(value, -(1 << 60)), 1 << 60)
    case .number(let value)?: return Int64(min(max(value, -1e18), 1e18).rounded(rounding))
    default: throw .invalid("\(keyword) at \(schema.path) must be a number.")
    }
  }

  private static let formats = [
    "date": date, "time": time, "date-time": date + "T" + time,
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": "\(byte)\\.\(byte)\\.\(byte)\\.\(byte)",
    "email": "[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+",
  ]
  private static let date = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
  private static let time =
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
  private static let byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
}
