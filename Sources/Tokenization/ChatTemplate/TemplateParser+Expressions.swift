/// Expressions, loosest first: `a if b else c`, `or`, `and`, `not`, comparisons, `+ -`, `~`, `* / // %`, `**`, signs,
/// then `.name`, `[item]`, `(call)`, `|filter`, `is test`. (That `~` binds tighter than `+` is Jinja's way.)
extension TemplateParser {
  /// How many levels an expression may have; a chain such as `a + b + …` has one for each operator.
  private static let maximumHeight = 300

  /// One expression, or several with commas between (a tuple).
  mutating func tupleOrExpression(conditional: Bool = true) throws(TemplateError) -> TemplateExpression {
    let position = current.position
    let first = try conditional ? expression() : disjunction()
    guard isSymbol(",") else { return first }
    var items = [first]
    while take(",") {
      if current.kind == .variableEnd || current.kind == .blockEnd || isSymbol(")") { break }
      items.append(try conditional ? expression() : disjunction())
    }
    return try make(.tuple(items), at: position, over: items)
  }

  mutating func expression() throws(TemplateError) -> TemplateExpression {
    try descend()
    defer { ascend() }
    var value = try disjunction()
    while isName("if") {
      let position = current.position
      advance()
      let test = try disjunction()
      let otherwise = takeName("else") ? try expression() : nil
      value = try make(
        .conditional(test: test, then: value, otherwise: otherwise), at: position,
        over: [value, test] + (otherwise.map { [$0] } ?? []))
    }
    return value
  }

  private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
    var left = try conjunction()
    while isName("or") {
      let position = current.position
      advance()
      let right = try conjunction()
      left = try make(.or(left, right), at: position, over: [left, right])
    }
    return left
  }

  private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
    var left = try negation()
    while isName("and") {
      let position = current.position
      advance()
      let right = try negation()
      left = try make(.and(left, right), at: position, over: [left, right])
    }
    return left
  }

  private mutating func negation() throws(TemplateError) -> TemplateExpression {
    let position = current.position
    guard takeName("not") else { return try comparison() }
    try descend()
    defer { ascend() }
    let operand = try negation()
    return try make(.not(operand), at: position, over: [operand])
  }

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let first = try sum()
    let position = current.position
    var rest: [(symbol: ComparisonOperator, operand: TemplateExpression)] = []
    while let comparison = takeComparison() { rest.append((comparison, try sum())) }
    guard !rest.isEmpty else { return first }
    return try make(.comparison(first, rest), at: position, over: [first] + rest.map(\.operand))
  }

  private mutating func takeComparison() -> ComparisonOperator? {
    switch current.kind {
    case .symbol(let symbol):
      guard let comparison = ComparisonOperator(rawValue: symbol) else { return nil }
      advance()
      return comparison
    case .name("in"):
      advance()
      return .contained
    case .name("not"):
      advance()
      if takeName("in") { return .notContained }
      stepBack()
      return nil
    default: return nil
    }
  }

  private mutating func sum() throws(TemplateError) -> TemplateExpression {
    var left = try concatenation()
    while isSymbol("+") || isSymbol("-") {
      let (position, operation) = takeArithmetic()
      let right = try concatenation()
      left = try make(.arithmetic(operation, left, right), at: position, over: [left, right])
    }
    return left
  }

  private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
    let position = current.position
    var parts = [try product()]
    while take("~") { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : try make(.concatenation(parts), at: position, over: parts)
  }

  private mutating func product() throws(TemplateError) -> TemplateExpression {
    var left = try power()
    while isSymbol("*") || isSymbol("/") || isSymbol("//") || isSymbol("%") {
      let (position, operation) = takeArithmetic()
      let right = try power()
      left = try make(.arithmetic(operation, left, right), at: position, over: [left, right])
    }
    return left
  }

  private mutating func power() throws(TemplateError) -> TemplateExpression {
    var left = try signed()
    while isSymbol("**") {
      let (position, operation) = takeArithmetic()
      let right = try signed()
      left = try make(.arithmetic(operation, left, right), at: position, over: [left, right])
    }
    return left
  }

  private mutating func takeArithmetic() -> (TemplatePosition, ArithmeticOperator) {
    guard case .symbol(let symbol) = current.kind, let operation = ArithmeticOperator(rawValue: symbol) else {
      fatalError("takeArithmetic is called at an operator")
    }
    defer { advance() }
    return (current.position, operation)
  }

  /// A sign binds looser than `.name`, tighter than `|filter`: `-a.b|abs` is `(-(a.b))|abs`.
  private mutating func signed(filters: Bool = true) throws(TemplateError) -> TemplateExpression {
    let position = current.position
    var value: TemplateExpression
    if isSymbol("-") || isSymbol("+") {
      let isNegative = take("-")
      if !isNegative { advance() }
      try descend()
      defer { ascend() }
      let operand = try signed(filters: false)
      value = try make(isNegative ? .negative(operand) : .positive(operand), at: position, over: [operand])
    } else {
      value = try primary()
    }
    value = try withPostfixes(value)
    return filters ? try withFiltersAndTests(value) : value
  }

  mutating func primary() throws(TemplateError) -> TemplateExpression {
    let token = current
    switch token.kind {
    case .name(let name):
      advance()
      return try make(Self.constants[name].map { .literal($0) } ?? .name(name), at: token.position)
    case .string(var text):
      advance()
      while case .string(let more) = current.kind {
        text += more
        advance()
      }
      return try make(.literal(.string(text)), at: token.position)
    case .integer(let value):
      advance()
      return try make(.literal(.int(value)), at: token.position)
    case .float(let value):
      advance()
      return try make(.literal(.double(value)), at: token.position)
    case .symbol("("): return try parenthesized()
    case .symbol("["): return try list()
    case .symbol("{"): return try dictionary()
    default: throw unexpected("an expression")
    }
  }

  private static let constants: [String: TemplateValue] = [
    "true": true, "True": true, "false": false, "False": false, "none": .none, "None": .none,
  ]

  private mutating func parenthesized() throws(TemplateError) -> TemplateExpression {
    let position = current.position
    advance()
    if take(")") { return try make(.tuple([]), at: position) }
    let value = try tupleOrExpression()
    guard take(")") else { throw unexpected("')'") }
    return value
  }

  private mutating func list() throws(TemplateError) -> TemplateExpression {
    let position = current.position
    advance()
    var items: [TemplateExpression] = []
    while !isSymbol("]") {
      if !items.isEmpty { guard take(",") else { throw unexpected("',' or ']'") } }
      if isSymbol("]") { break }
      items.append(try expression())
    }
    advance()
    return try make(.list(items), at: position, over: items)
  }

  private mutating func dictionary() throws(TemplateError) -> TemplateExpression {
    let position = current.position
    advance()
    var items: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !isSymbol("}") {
      if !items.isEmpty { guard take(",") else { throw unexpected("',' or '}'") } }
      if isSymbol("}") { break }
      let key = try expression()
      guard take(":") else { throw unexpected("':'") }
      items.append((key, try expression()))
    }
    advance()
    return try make(.dictionary(items), at: position, over: items.map(\.key) + items.map(\.value))
  }

  func make(
    _ node: TemplateExpression.Node, at position: TemplatePosition, over parts: [TemplateExpression] = [],
    _ arguments: TemplateArguments = TemplateArguments()
  ) throws(TemplateError) -> TemplateExpression {
    let height = 1 + max(parts.map(\.height).max() ?? 0, arguments.height)
    guard height <= Self.maximumHeight else {
      throw .limit("an expression has more than \(Self.maximumHeight) levels", at: position)
    }
    return TemplateExpression(position: position, height: height, node: node)
  }
}
