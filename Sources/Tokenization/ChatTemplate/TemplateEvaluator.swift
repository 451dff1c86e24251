/// Runs a template's statements; expressions are in `TemplateEvaluator+Expressions.swift`.
///
/// Scopes are Jinja's: a loop's body, a macro, a call block, a filter block and a `with` have their own, an `if` has
/// none. What an inner scope sets, an outer one does not see; a namespace is the way around.
struct TemplateEvaluator {
  let clock: @Sendable () -> Int
  var budget = TemplateBudget()
  var scope: JinjaScope

  init(clock: @escaping @Sendable () -> Int) {
    self.clock = clock
    scope = JinjaScope(in: nil)
  }

  mutating func render(
    _ body: [TemplateStatement], context: [String: TemplateValue]
  ) throws(TemplateError) -> String {
    var variables: [String: JinjaValue] = [:]
    for global in JinjaGlobal.allCases { variables[global.rawValue] = .function(.global(global)) }
    let start = TemplatePosition(line: 1, column: 1)
    for (name, value) in context {
      variables[name] = try locate(start) { (_) throws(TemplateFault) in try JinjaValue(value) }
    }
    // The template's own variables stand in a scope of their own, as macros may outlive none of them.
    scope = JinjaScope(in: JinjaScope(variables, in: nil))
    var output = ""
    _ = try run(body, into: &output)
    return output
  }

  /// What the statements of a loop's body ended with.
  enum Flow { case proceed, breakLoop, continueLoop }

  mutating func run(_ statements: [TemplateStatement], into output: inout String) throws(TemplateError) -> Flow {
    for statement in statements {
      let flow = try run(statement, into: &output)
      guard flow == .proceed else { return flow }
    }
    return .proceed
  }

  private mutating func run(_ statement: TemplateStatement, into output: inout String) throws(TemplateError) -> Flow {
    switch statement {
    case .text(let text, let position): try append(text, at: position, to: &output)
    case .output(let expression): try runOutput(expression, into: &output)
    case .branch(let branches, let otherwise): return try runBranch(branches, otherwise, into: &output)
    case .loop(let loop): return try runLoop(loop, into: &output)
    case .set(let target, let expression): try assign(try evaluate(expression), to: target)
    case .setBlock(let target, let filters, let body): try runSetBlock(target, filters, body)
    case .macro(let definition): scope.set(definition.name, to: .function(.macro(JinjaMacro(definition, in: scope))))
    case .callBlock(let call, let caller): try runCallBlock(call, caller, into: &output)
    case .filterBlock(let filters, let body): try runFilterBlock(filters, body, into: &output)
    case .with(let assignments, let body): try runWith(assignments, body, into: &output)
    case .breakLoop: return .breakLoop
    case .continueLoop: return .continueLoop
    }
    return .proceed
  }

  private mutating func append(
    _ text: String, at position: TemplatePosition, to output: inout String
  ) throws(TemplateError) {
    let bytes = text.utf8.count
    let total = output.utf8.count + bytes
    try locate(position) { (evaluator) throws(TemplateFault) in
      try evaluator.budget.spend(1 + bytes / 32)
      guard total <= TemplateBudget.maximumTextBytes else {
        throw .limit("it writes more than \(TemplateBudget.maximumTextBytes) bytes")
      }
    }
    output += text
  }

  private mutating func runOutput(_ expression: TemplateExpression, into output: inout String) throws(TemplateError) {
    let value = try evaluate(expression)
    let text = try locate(expression.position) { (evaluator) throws(TemplateFault) in
      try value.text(&evaluator.budget)
    }
    try append(text, at: expression.position, to: &output)
  }

  private mutating func runBranch(
    _ branches: [(condition: TemplateExpression, body: [TemplateStatement])], _ otherwise: [TemplateStatement],
    into output: inout String
  ) throws(TemplateError) -> Flow {
    for (condition, body) in branches where try evaluate(condition).isTrue {
      return try nested(at: condition.position) { (evaluator) throws(TemplateError) in
        try evaluator.run(body, into: &output)
      }
    }
    return try run(otherwise, into: &output)
  }

  // MARK: - Loops

  private mutating func runLoop(_ loop: TemplateLoop, into output: inout String) throws(TemplateError) -> Flow {
    let items = try loopItems(loop)
    if items.isEmpty { return try run(loop.otherwise, into: &output) }
    let outer = scope
    defer { scope = outer }
    let state = JinjaLoop(items: items, depth: 1)
    for (index, item) in items.enumerated() {
      state.index = index
      scope = JinjaScope(["loop": .loop(state)], in: outer)
      try assign(item, to: loop.target, at: loop.position)
      let flow = try nested(at: loop.position, steps: TemplateBudget.stepsPerScope) {
        (evaluator) throws(TemplateError) in
        try evaluator.run(loop.body, into: &output)
      }
      if flow == .breakLoop { break }
    }
    return .proceed
  }

  /// The loop's items, less those that its condition turns away: `loop` counts only the others.
  private mutating func loopItems(_ loop: TemplateLoop) throws(TemplateError) -> [JinjaValue] {
    let value = try evaluate(loop.items)
    let items = try locate(loop.items.position) { (evaluator) throws(TemplateFault) in
      try value.elements(&evaluator.budget)
    }
    guard let condition = loop.condition else { return items }
    let outer = scope
    defer { scope = outer }
    var kept: [JinjaValue] = []
    for item in items {
      scope = JinjaScope(in: outer)
      try assign(item, to: loop.target, at: loop.position)
      if try evaluate(condition).isTrue { kept.append(item) }
    }
    return kept
  }

  // MARK: - Blocks

  private mutating func runSetBlock(
    _ target: TemplateTarget, _ filters: [TemplateFilterCall], _ body: [TemplateStatement]
  ) throws(TemplateError) {
    try assign(try filtered(body, filters), to: target)
  }

  private mutating func runFilterBlock(
    _ filters: [TemplateFilterCall], _ body: [TemplateStatement], into output: inout String
  ) throws(TemplateError) {
    let position = filters[0].position
    let value = try filtered(body, filters)
    let text = try locate(position) { (evaluator) throws(TemplateFault) in try value.text(&evaluator.budget) }
    try append(text, at: position, to: &output)
  }

  /// What the body writes, in a scope of its own, through the filters.
  private mutating func filtered(
    _ body: [TemplateStatement], _ filters: [TemplateFilterCall]
  ) throws(TemplateError) -> JinjaValue {
    var text = ""
    try inScope { (evaluator) throws(TemplateError) in _ = try evaluator.run(body, into: &text) }
    var value = JinjaValue.string(text)
    for filter in filters { value = try apply(filter, to: value) }
    return value
  }

  private mutating func runWith(
    _ assignments: [(target: TemplateTarget, value: TemplateExpression)], _ body: [TemplateStatement],
    into output: inout String
  ) throws(TemplateError) {
    var values: [JinjaValue] = []
    for assignment in assignments { values.append(try evaluate(assignment.value)) }
    try inScope { (evaluator) throws(TemplateError) in
      for (assignment, value) in zip(assignments, values) { try evaluator.assign(value, to: assignment.target) }
      _ = try evaluator.run(body, into: &output)
    }
  }

  private mutating func inScope(
    _ body: (inout TemplateEvaluator) throws(TemplateError) -> Void
  ) throws(TemplateError) {
    let outer = scope
    defer { scope = outer }
    scope = JinjaScope(in: outer)
    try body(&self)
  }

  private mutating func runCallBlock(
    _ call: TemplateExpression, _ caller: TemplateMacro, into output: inout String
  ) throws(TemplateError) {
    guard case .call(let callee, let arguments) = call.node else { return }
    let function = try evaluate(callee)
    guard case .function(.macro(let macro)) = function else {
      throw .evaluation("a call block needs a macro, not \(function.typeName)", at: call.position)
    }
    let values = try evaluate(arguments)
    let text = try invoke(macro, values, caller: JinjaMacro(caller, in: scope), at: call.position)
    try append(text, at: call.position, to: &output)
  }

  /// Runs a macro in a scope inside that of its definition.
  mutating func invoke(
    _ macro: JinjaMacro, _ arguments: JinjaArguments, caller: JinjaMacro? = nil, at position: TemplatePosition
  ) throws(TemplateError) -> String {
    let definition = macro.definition
    guard let home = macro.scope else {
      throw .evaluation("the macro '\(definition.name)' is used outside its scope", at: position)
    }
    let bound = try locate(position) { (_) throws(TemplateFault) in
      try arguments.bound(to: definition.parameters.map(\.name), of: "the macro '\(definition.name)'")
    }
    let outer = scope
    defer { scope = outer }
    scope = JinjaScope(in: home)
    if let caller { scope.set("caller", to: .function(.macro(caller))) }
    for (parameter, value) in zip(definition.parameters, bound) {
      if let value {
        scope.set(parameter.name, to: value)
      } else if let standard = parameter.standard {
        scope.set(parameter.name, to: try evaluate(standard))
      } else {
        scope.set(parameter.name, to: .undefined("parameter '\(parameter.name)' was not provided"))
      }
    }
    var text = ""
    try nested(at: position, steps: TemplateBudget.stepsPerScope) { (evaluator) throws(TemplateError) in
      _ = try evaluator.run(definition.body, into: &text)
    }
    return text
  }

  // MARK: - Assignments

  private mutating func assign(
    _ value: JinjaValue, to target: TemplateTarget, at position: TemplatePosition? = nil
  ) throws(TemplateError) {
    switch target {
    case .name(let name): scope.set(name, to: value)
    case .namespace(let name, let attribute, let place):
      guard case .namespace(let namespace) = scope[name] else {
        throw .evaluation("cannot assign attribute on non-namespace object '\(name)'", at: place)
      }
      try locate(place) { (_) throws(TemplateFault) in try namespace.set(attribute, to: value) }
    case .tuple(let targets, let place):
      let elements = try locate(position ?? place) { (evaluator) throws(TemplateFault) in
        try value.elements(&evaluator.budget)
      }
      guard elements.count == targets.count else {
        throw .evaluation("\(elements.count) values cannot be unpacked into \(targets.count)", at: place)
      }
      for (target, element) in zip(targets, elements) { try assign(element, to: target, at: position) }
    }
  }

  // MARK: - Faults and depth

  /// Runs what may fail, and says where it did.
  mutating func locate<Result>(
    _ position: TemplatePosition, _ body: (inout TemplateEvaluator) throws(TemplateFault) -> Result
  ) throws(TemplateError) -> Result {
    do {
      return try body(&self)
    } catch {
      throw error.located(at: position)
    }
  }

  /// Runs `body` one level deeper, and pays `steps` for it.
  mutating func nested<Result>(
    at position: TemplatePosition, steps: Int = 1, _ body: (inout TemplateEvaluator) throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    do {
      try budget.descend()
      try budget.spend(steps)
    } catch {
      throw error.located(at: position)
    }
    defer { budget.ascend() }
    return try body(&self)
  }
}
