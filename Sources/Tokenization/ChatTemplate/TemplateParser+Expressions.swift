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

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
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

  // MARK: - What follows a value

  private mutating func withPostfixes(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = value
    while true {
      let position = current.position
      if take(".") {
        value = try attribute(of: value, at: position)
      } else if take("[") {
        value = try subscription(of: value, at: position)
      } else if isSymbol("(") {
        value = try call(of: value, at: position)
      } else {
        return value
      }
    }
  }

  private mutating func attribute(
    of value: TemplateExpression, at position: TemplatePosition
  ) throws(TemplateError) -> TemplateExpression {
    if case .integer(let number) = current.kind {
      let place = current.position
      advance()
      let item = try make(.literal(.int(number)), at: place)
      return try make(.item(value, item), at: position, over: [value])
    }
    return try make(.attribute(value, try name("an attribute's name")), at: position, over: [value])
  }

  private mutating func subscription(
    of value: TemplateExpression, at position: TemplatePosition
  ) throws(TemplateError) -> TemplateExpression {
    let start = isSymbol(":") ? nil : try expression()
    if let start, !isSymbol(":") {
      guard take("]") else { throw unexpected("']'") }
      return try make(.item(value, start), at: position, over: [value, start])
    }
    advance()
    let stop = isSymbol(":") || isSymbol("]") ? nil : try expression()
    let step = take(":") && !isSymbol("]") ? try expression() : nil
    guard take("]") else { throw unexpected("']'") }
    return try make(
      .slice(value, start: start, stop: stop, step: step), at: position,
      over: [value, start, stop, step].compactMap(\.self))
  }

  private mutating func call(
    of value: TemplateExpression, at position: TemplatePosition
  ) throws(TemplateError) -> TemplateExpression {
    if case .attribute(_, let method) = value.node, !JinjaMethods.names.contains(method) {
      throw .unsupported("the method '\(method)'", at: value.position)
    }
    let arguments = try arguments()
    return try make(.call(value, arguments), at: position, over: [value], arguments)
  }

  private mutating func withFiltersAndTests(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = value
    while true {
      let position = current.position
      if take("|") {
        let filter = try filterCall()
        value = try make(.filter(value, filter), at: filter.position, over: [value], filter.arguments)
      } else if takeName("is") {
        value = try test(of: value, at: position)
      } else if isSymbol("(") {
        value = try call(of: value, at: position)
      } else {
        return value
      }
    }
  }

  /// One or more filters with `|` between; stands on the first one's name.
  mutating func filterChain() throws(TemplateError) -> [TemplateFilterCall] {
    var filters = [try filterCall()]
    while take("|") { filters.append(try filterCall()) }
    return filters
  }

  private mutating func filterCall() throws(TemplateError) -> TemplateFilterCall {
    let position = current.position
    let name = try name("a filter's name")
    guard JinjaFilters.table[name] != nil else { throw .unsupported("the filter '\(name)'", at: position) }
    return TemplateFilterCall(
      name: name, arguments: isSymbol("(") ? try arguments() : TemplateArguments(), position: position)
  }

  private mutating func test(
    of value: TemplateExpression, at position: TemplatePosition
  ) throws(TemplateError) -> TemplateExpression {
    let negated = takeName("not")
    let place = current.position
    let name = try name("a test's name")
    guard JinjaTests.table[name] != nil else { throw .unsupported("the test '\(name)'", at: place) }
    var arguments = TemplateArguments()
    if isSymbol("(") {
      arguments = try self.arguments()
    } else if isName("is") {
      throw .syntax("a test cannot follow a test; put brackets around the first", at: current.position)
    } else if startsTestOperand {
      arguments.positional = [try withPostfixes(try primary())]
    }
    return try make(.test(value, name: name, arguments, negated: negated), at: position, over: [value], arguments)
  }

  private var startsTestOperand: Bool {
    switch current.kind {
    case .name(let name): !["else", "or", "and"].contains(name)
    case .string, .integer, .float, .symbol("["), .symbol("{"): true
    default: false
    }
  }

  private mutating func arguments() throws(TemplateError) -> TemplateArguments {
    var arguments = TemplateArguments()
    advance()
    while !isSymbol(")") {
      if !(arguments.positional.isEmpty && arguments.named.isEmpty) {
        guard take(",") else { throw unexpected("',' or ')'") }
        if isSymbol(")") { break }
      }
      if isSymbol("*") || isSymbol("**") { throw .unsupported("'*' before an argument", at: current.position) }
      if case .name(let name) = current.kind, isSymbolNext("=") {
        advance()
        advance()
        arguments.named.append((name, try expression()))
      } else {
        guard arguments.named.isEmpty else { throw unexpected("a named argument") }
        arguments.positional.append(try expression())
      }
    }
    advance()
    return arguments
  }

  private func make(
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
