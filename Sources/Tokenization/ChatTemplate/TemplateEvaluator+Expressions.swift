extension TemplateEvaluator {
  mutating func evaluate(_ expression: TemplateExpression) throws(TemplateError) -> JinjaValue {
    try nested(at: expression.position) { (evaluator) throws(TemplateError) in
      try evaluator.value(of: expression)
    }
  }

  private mutating func value(of expression: TemplateExpression) throws(TemplateError) -> JinjaValue {
    let position = expression.position
    switch expression.node {
    case .literal(let value): return try locate(position) { (_) throws(TemplateFault) in try JinjaValue(value) }
    case .name(let name): return scope[name] ?? .undefined("'\(name)' is undefined")
    case .list(let parts): return .list(try items(parts, at: position))
    case .tuple(let parts): return .tuple(try items(parts, at: position))
    case .dictionary(let entries): return try dictionary(entries, at: position)
    case .attribute(let base, let name):
      let base = try evaluate(base)
      return try locate(position) { (_) throws(TemplateFault) in try base.attribute(name) }
    case .item(let base, let key):
      let (base, key) = (try evaluate(base), try evaluate(key))
      return try locate(position) { (_) throws(TemplateFault) in try base.item(key) }
    case .slice(let base, let start, let stop, let step):
      return try slice(base, start, stop, step, at: position)
    case .call(let callee, let arguments): return try call(callee, arguments, at: position)
    case .filter(let base, let filter): return try apply(filter, to: try evaluate(base))
    case .test(let base, let name, let arguments, let negated):
      return .bool(try test(base, name, arguments, at: position) != negated)
    case .concatenation(let parts): return try concatenation(parts, at: position)
    default: return try operation(expression)
    }
  }

  // MARK: - Operators

  private mutating func operation(_ expression: TemplateExpression) throws(TemplateError) -> JinjaValue {
    let position = expression.position
    switch expression.node {
    case .negative(let operand):
      let operand = try evaluate(operand)
      return try locate(position) { (_) throws(TemplateFault) in try operand.negated() }
    case .positive(let operand):
      let operand = try evaluate(operand)
      return try locate(position) { (_) throws(TemplateFault) in try operand.unchanged() }
    case .not(let operand): return .bool(try !evaluate(operand).isTrue)
    case .and(let left, let right):
      let left = try evaluate(left)
      return left.isTrue ? try evaluate(right) : left
    case .or(let left, let right):
      let left = try evaluate(left)
      return left.isTrue ? left : try evaluate(right)
    case .arithmetic(let operation, let left, let right):
      let (left, right) = (try evaluate(left), try evaluate(right))
      return try locate(position) { (evaluator) throws(TemplateFault) in
        try left.combined(operation, with: right, &evaluator.budget)
      }
    case .comparison(let first, let rest): return .bool(try comparison(first, rest, at: position))
    case .conditional(let test, let then, let otherwise):
      if try evaluate(test).isTrue { return try evaluate(then) }
      guard let otherwise else { return .undefined("the inline if-expression has no else") }
      return try evaluate(otherwise)
    default: fatalError("value(of:) handles the other nodes")
    }
  }

  /// `a < b < c` compares neighbours, and stops at the first that fails.
  private mutating func comparison(
    _ first: TemplateExpression, _ rest: [(symbol: ComparisonOperator, operand: TemplateExpression)],
    at position: TemplatePosition
  ) throws(TemplateError) -> Bool {
    var left = try evaluate(first)
    for (comparison, operand) in rest {
      let right = try evaluate(operand)
      let holds = try locate(position) { (evaluator) throws(TemplateFault) in
        try left.compares(comparison, right, &evaluator.budget)
      }
      guard holds else { return false }
      left = right
    }
    return true
  }

  private mutating func concatenation(
    _ parts: [TemplateExpression], at position: TemplatePosition
  ) throws(TemplateError) -> JinjaValue {
    var text = ""
    for part in parts {
      let value = try evaluate(part)
      let soFar = text.utf8.count
      text += try locate(position) { (evaluator) throws(TemplateFault) in
        let text = try value.text(&evaluator.budget)
        try evaluator.budget.spend(textBytes: soFar + text.utf8.count)
        return text
      }
    }
    return .string(text)
  }

  // MARK: - Collections

  private mutating func items(
    _ parts: [TemplateExpression], at position: TemplatePosition
  ) throws(TemplateError) -> JinjaItems {
    var values: [JinjaValue] = []
    for part in parts { values.append(try evaluate(part)) }
    return try locate(position) { (_) throws(TemplateFault) in try JinjaItems(values) }
  }

  private mutating func dictionary(
    _ entries: [(key: TemplateExpression, value: TemplateExpression)], at position: TemplatePosition
  ) throws(TemplateError) -> JinjaValue {
    var map = TemplateMap<JinjaValue>()
    for entry in entries {
      guard case .string(let key) = try evaluate(entry.key) else {
        throw .unsupported("a dict's key that is no string", at: entry.key.position)
      }
      map[key] = try evaluate(entry.value)
    }
    return try locate(position) { (_) throws(TemplateFault) in .dictionary(try JinjaDictionary(map)) }
  }

  private mutating func slice(
    _ base: TemplateExpression, _ start: TemplateExpression?, _ stop: TemplateExpression?, _ step: TemplateExpression?,
    at position: TemplatePosition
  ) throws(TemplateError) -> JinjaValue {
    let base = try evaluate(base)
    let start = try start.map { (bound) throws(TemplateError) in try evaluate(bound) }
    let stop = try stop.map { (bound) throws(TemplateError) in try evaluate(bound) }
    let step = try step.map { (bound) throws(TemplateError) in try evaluate(bound) }
    return try locate(position) { (evaluator) throws(TemplateFault) in
      try base.slice(start: start, stop: stop, step: step, &evaluator.budget)
    }
  }

  // MARK: - Calls

  mutating func evaluate(_ arguments: TemplateArguments) throws(TemplateError) -> JinjaArguments {
    var values = JinjaArguments()
    for argument in arguments.positional { values.positional.append(try evaluate(argument)) }
    for argument in arguments.named { values.named.append((argument.name, try evaluate(argument.value))) }
    return values
  }

  mutating func apply(_ filter: TemplateFilterCall, to value: JinjaValue) throws(TemplateError) -> JinjaValue {
    guard let function = JinjaFilters.table[filter.name] else {
      throw .unsupported("the filter '\(filter.name)'", at: filter.position)
    }
    let arguments = try evaluate(filter.arguments)
    return try locate(filter.position) { (evaluator) throws(TemplateFault) in
      try function(value, arguments, &evaluator.budget)
    }
  }

  private mutating func test(
    _ base: TemplateExpression, _ name: String, _ arguments: TemplateArguments, at position: TemplatePosition
  ) throws(TemplateError) -> Bool {
    guard let test = JinjaTests.table[name] else { throw .unsupported("the test '\(name)'", at: position) }
    let value = try evaluate(base)
    let arguments = try evaluate(arguments)
    return try locate(position) { (evaluator) throws(TemplateFault) in
      try test(value, arguments, &evaluator.budget)
    }
  }

  private mutating func call(
    _ callee: TemplateExpression, _ arguments: TemplateArguments, at position: TemplatePosition
  ) throws(TemplateError) -> JinjaValue {
    let function = try evaluate(callee)
    let values = try evaluate(arguments)
    switch function {
    case .undefined(let what): throw .evaluation(what, at: position)
    case .function(.macro(let macro)): return .string(try invoke(macro, values, at: position))
    case .function(.global(let global)):
      return try locate(position) { (evaluator) throws(TemplateFault) in
        try global.call(values, clock: evaluator.clock, &evaluator.budget)
      }
    case .function(.method(let receiver, let name)):
      return try locate(position) { (evaluator) throws(TemplateFault) in
        try JinjaMethods.call(name, of: receiver, values, &evaluator.budget)
      }
    default: throw .evaluation("'\(function.typeName)' object is not callable", at: position)
    }
  }
}
