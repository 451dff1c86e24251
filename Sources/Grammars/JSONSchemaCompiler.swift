import ServingAPI

/// Makes rules of a JSON schema. What it does not read it refuses by name; what only describes it passes over.
///
/// As vLLM's compilers do: members come in the schema's order, `oneOf` is read as `anyOf`, and an object that names its
/// `properties` has no others unless it says so.
struct JSONSchemaCompiler {
  private let root: BodyValue
  let json: JSONRules
  /// By number; nil while a rule is being made.
  private var rules: [Expression?] = []
  private var references: [String: Int] = [:]

  static let mostAlternatives = 2048

  /// - Returns: Rules, of which the first is the whole output.
  static func rules(of schema: BodyValue, allowsWhitespace: Bool) throws(GrammarError) -> [Expression] {
    var compiler = JSONSchemaCompiler(root: schema, json: JSONRules(allowsWhitespace: allowsWhitespace))
    let first = compiler.reserve()
    compiler.rules[first] = try compiler.expression(schema, at: "#")
    return compiler.rules.map { $0 ?? .empty }
  }

  private init(root: BodyValue, json: JSONRules) {
    self.root = root
    self.json = json
  }

  private mutating func reserve() -> Int {
    rules.append(nil)
    return rules.count - 1
  }

  mutating func rule(_ expression: Expression) -> Expression {
    rules.append(expression)
    return .rule(rules.count - 1)
  }

  // MARK: Any schema

  mutating func expression(_ schema: BodyValue, at path: String) throws(GrammarError) -> Expression {
    switch schema {
    case .bool(true): return anyValue()
    case .object(let fields): return try expression(SchemaFields(fields, path: path))
    default: throw .invalid("The schema at \(path) is no object.")
    }
  }

  private mutating func expression(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    let whole = try wholeExpression(schema)
    guard schema["nullable"] == true else { return whole }
    return .choice([whole, JSONRules.null])
  }

  private mutating func wholeExpression(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    if let reference = schema["$ref"] {
      try schema.allow(["$ref"])
      return try self.reference(reference.stringValue ?? "", at: schema.path)
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
      guard let list = schema[keyword]?.arrayValue else { continue }
      try schema.allow([keyword])
      guard keyword != "allOf" || list.count == 1, !list.isEmpty, list.count <= Self.mostAlternatives else {
        throw .unsupportedKeyword(keyword, path: schema.path)
      }
      var alternatives: [Expression] = []
      for (index, part) in list.enumerated() {
        alternatives.append(try expression(part, at: "\(schema.path)/\(keyword)/\(index)"))
      }
      return .choice(alternatives)
    }
    if let values = schema["enum"]?.arrayValue ?? schema["const"].map({ [$0] }) {
      try schema.allow(["enum", "const", "type"])
      guard !values.isEmpty, values.count <= Self.mostAlternatives else {
        throw .unsupportedKeyword("enum of \(values.count) values", path: schema.path)
      }
      return .choice(values.map { .literal($0.encoded) })
    }
    return try typed(schema)
  }

  private mutating func typed(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    if let types = schema["type"]?.arrayValue {
      var alternatives: [Expression] = []
      for type in types {
        alternatives.append(try expression(of: type.stringValue ?? "", schema.narrowed(to: type.stringValue ?? "")))
      }
      return .choice(alternatives)
    }
    if let type = schema["type"] { return try expression(of: type.stringValue ?? "", schema) }
    if schema.hasAny(of: ["properties", "required", "additionalProperties"]) { return try object(schema) }
    if schema.hasAny(of: ["items", "prefixItems"]) { return try array(schema) }
    try schema.allow([])
    return anyValue()
  }

  private mutating func expression(of type: String, _ schema: SchemaFields) throws(GrammarError) -> Expression {
    switch type {
    case "object": return try object(schema)
    case "array": return try array(schema)
    case "string": return try SchemaScalars.string(schema)
    case "integer": return try SchemaScalars.integer(schema)
    case "number": return try SchemaScalars.number(schema)
    case "boolean":
      try schema.allow(["type"])
      return JSONRules.boolean
    case "null":
      try schema.allow(["type"])
      return JSONRules.null
    default: throw .invalid("The schema at \(schema.path) has the unknown type '\(type.prefix(32))'.")
    }
  }

  /// A place in the same schema: `#`, `#/$defs/Name`.
  private mutating func reference(_ pointer: String, at path: String) throws(GrammarError) -> Expression {
    if let known = references[pointer] { return .rule(known) }
    guard pointer == "#" || pointer.hasPrefix("#/") else {
      throw .unsupportedKeyword("$ref to '\(pointer.prefix(64))'", path: path)
    }
    var target = root
    for part in pointer.dropFirst(2).split(separator: "/") {
      let key = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
      guard let next = target[key] else { throw .invalid("The schema has nothing at \(pointer.prefix(64)).") }
      target = next
    }
    let number = reserve()
    references[pointer] = number
    rules[number] = try expression(target, at: pointer)
    return .rule(number)
  }

  // MARK: Objects and arrays

  /// Any JSON value.
  mutating func anyValue() -> Expression {
    if let known = references["any"] { return .rule(known) }
    let number = reserve()
    references["any"] = number
    let value = Expression.rule(number)
    rules[number] = .choice([
      rule(json.list("{", json.members(json.member(JSONRules.string, value)), "}")),
      rule(json.list("[", json.members(value), "]")), JSONRules.string, JSONRules.number(isSigned: true),
      JSONRules.boolean, JSONRules.null,
    ])
    return value
  }

  private mutating func array(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    try schema.allow(["type", "items", "prefixItems", "minItems", "maxItems"])
    var (least, most) = (try schema.count("minItems") ?? 0, try schema.count("maxItems"))
    guard most ?? least >= least else { throw .matchesNothing }
    var first: [Expression] = []
    for (index, item) in (schema["prefixItems"]?.arrayValue ?? []).enumerated() {
      first.append(try expression(item, at: "\(schema.path)/prefixItems/\(index)"))
    }
    if schema["items"] == false { most = min(most ?? first.count, first.count) }
    let item: Expression
    switch schema["items"] {
    case nil, .bool(false)?: item = anyValue()
    case let items?: item = try expression(items, at: schema.path + "/items")
    }
    guard !first.isEmpty else { return rule(json.list("[", json.members(rule(item), least: least, most: most), "]")) }
    // As vLLM's compilers: the first items are there, all of them.
    if let most, most < first.count { throw .unsupportedKeyword("maxItems below prefixItems", path: schema.path) }
    least = max(0, least - first.count)
    var parts: [Expression] = []
    for (index, each) in first.enumerated() { parts += index == 0 ? [each] : [json.comma, each] }
    parts.append(.repetition(.sequence([json.comma, rule(item)]), least, most.map { $0 - first.count }))
    return rule(json.list("[", .sequence(parts), "]"))
  }

  private mutating func object(_ schema: SchemaFields) throws(GrammarError) -> Expression {
    try schema.allow(["type", "properties", "required", "additionalProperties"])
    var properties: [(key: String, value: BodyValue)] = []
    if case .object(let fields)? = schema["properties"] { properties = fields.members }
    let required = Set((schema["required"]?.arrayValue ?? []).compactMap(\.stringValue))
    for name in required.sorted() where !properties.contains(where: { $0.key == name }) {
      properties.append((name, true))
    }
    let additional = try additionalMember(schema, names: properties.map(\.key))
    // What may follow the first members: with and without one before it.
    var (after, atStart) = tails(additional)
    for (name, value) in properties.reversed() {
      let key = Expression.literal(BodyValue.string(name).encoded)
      let value = try expression(value, at: "\(schema.path)/properties/\(name.prefix(64))")
      let member = rule(json.member(key, value))
      let next = Expression.sequence([json.comma, member, after])
      let first = Expression.sequence([member, after])
      let isRequired = required.contains(name)
      (after, atStart) = (
        rule(isRequired ? next : .choice([next, after])), rule(isRequired ? first : .choice([first, atStart]))
      )
    }
    return rule(json.list("{", atStart, "}"))
  }

  private mutating func tails(_ additional: Expression?) -> (after: Expression, atStart: Expression) {
    guard let additional else { return (.empty, .empty) }
    let more = rule(.repetition(.sequence([json.comma, additional]), 0, nil))
    return (more, rule(.optional(.sequence([additional, more]))))
  }

  /// A member that `properties` does not name; nil if there may be none.
  private mutating func additionalMember(_ schema: SchemaFields, names: [String]) throws(GrammarError) -> Expression? {
    let value: Expression
    switch schema["additionalProperties"] {
    case .bool(false): return nil
    case nil where schema["properties"] != nil: return nil
    case nil, .bool(true): value = anyValue()
    case let other?: value = try expression(other, at: schema.path + "/additionalProperties")
    }
    return rule(json.member(names.isEmpty ? JSONRules.string : OtherNames(than: names).expression, value))
  }
}

/// Strings that are none of some names: written without escapes, so that none of them can be written otherwise.
private struct OtherNames {
  private var children: [UInt32: OtherNames] = [:]
  private var isName = false

  init(than names: [String]) {
    for name in names { insert(name.unicodeScalars.map(\.value)[...]) }
  }

  private mutating func insert(_ name: ArraySlice<UInt32>) {
    guard let first = name.first else {
      isName = true
      return
    }
    children[first, default: OtherNames(than: [])].insert(name.dropFirst())
  }

  var expression: Expression { JSONRules.quoted(rest) }

  private static let plain = ScalarSet([0x00...0x1F, 0x22...0x22, 0x5C...0x5C]).complement

  /// What may follow this beginning of a name.
  private var rest: Expression {
    let others = Self.plain.subtracting(ScalarSet(children.keys.map { $0...$0 }))
    var ways: [Expression] = isName ? [] : [.empty]
    ways.append(.sequence([others.expression, .repetition(Self.plain.expression, 0, nil)]))
    for (scalar, child) in children.sorted(by: { $0.key < $1.key }) where Self.plain.contains(scalar) {
      ways.append(.sequence([ScalarSet([scalar...scalar]).expression, child.rest]))
    }
    return .choice(ways)
  }
}
