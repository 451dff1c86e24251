/// What follows a value in an expression: attributes, items, calls, filters and tests.
extension TemplateParser {
  mutating func withPostfixes(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
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

  mutating func withFiltersAndTests(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
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
}
