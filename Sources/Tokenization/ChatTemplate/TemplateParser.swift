/// Reads statements; expressions are in `TemplateParser+Expressions.swift`. Source: jinja2's `parser.py` (3.1).
struct TemplateParser {
  /// How deep statements and brackets may nest.
  private static let maximumNesting = 80

  private let tokens: [TemplateToken]
  private var index = 0
  private var nesting = 0
  /// How many loops of the current macro (or of the template) are open, for `break` and `continue`.
  private var openLoops = 0

  /// - Precondition: `tokens` ends with `.end`.
  init(tokens: [TemplateToken]) {
    self.tokens = tokens
  }

  mutating func template() throws(TemplateError) -> [TemplateStatement] {
    let body = try statements(until: [])
    guard current.kind == .end else { throw unexpected("a statement") }
    return body
  }

  /// Reads up to a `{% KEYWORD` of `ends`, and stands on its keyword; at the template's end if `ends` is empty.
  private mutating func statements(until ends: [String]) throws(TemplateError) -> [TemplateStatement] {
    try descend()
    defer { nesting -= 1 }
    let start = current.position
    var body: [TemplateStatement] = []
    while true {
      switch current.kind {
      case .end:
        guard ends.isEmpty else {
          throw .syntax("the template ends before \(ends.map { "{% \($0) %}" }.joined(separator: " or "))", at: start)
        }
        return body
      case .text(let text):
        body.append(.text(text, current.position))
        index += 1
      case .variableBegin:
        index += 1
        body.append(.output(try tupleOrExpression()))
        try expect(.variableEnd, "}}")
      default:
        try expect(.blockBegin, "{%")
        if case .name(let keyword) = current.kind, ends.contains(keyword) { return body }
        body += try statement()
      }
    }
  }

  private mutating func statement() throws(TemplateError) -> [TemplateStatement] {
    let position = current.position
    let keyword = try name("a statement")
    switch keyword {
    case "if": return [try branch()]
    case "for": return [try loop(at: position)]
    case "set": return [try assignment()]
    case "macro": return [try macro(at: position)]
    case "call": return [try callBlock(at: position)]
    case "filter": return [try filterBlock()]
    case "with": return [try with()]
    case "break", "continue":
      guard openLoops > 0 else { throw .syntax("'\(keyword)' stands outside a loop", at: position) }
      try endTag()
      return [keyword == "break" ? .breakLoop : .continueLoop]
    case "generation": return try body(endedBy: "endgeneration")
    default: throw unknown(keyword, at: position)
    }
  }

  private func unknown(_ keyword: String, at position: TemplatePosition) -> TemplateError {
    let strays = ["elif", "else", "endif", "endfor", "endset", "endmacro", "endcall", "endfilter", "endwith", "endraw"]
    return strays.contains(keyword)
      ? .syntax("'{% \(keyword) %}' has no beginning", at: position)
      : .unsupported("the statement '\(keyword)'", at: position)
  }

  // MARK: - Statements, each behind its keyword

  private mutating func branch() throws(TemplateError) -> TemplateStatement {
    var branches: [(condition: TemplateExpression, body: [TemplateStatement])] = []
    while true {
      let condition = try tupleOrExpression(conditional: false)
      try endTag()
      let body = try statements(until: ["elif", "else", "endif"])
      branches.append((condition, body))
      switch try name("elif, else or endif") {
      case "elif": continue
      case "else": return .branch(branches, otherwise: try self.body(endedBy: "endif"))
      default:
        try endTag()
        return .branch(branches, otherwise: [])
      }
    }
  }

  private mutating func loop(at position: TemplatePosition) throws(TemplateError) -> TemplateStatement {
    let target = try target(namespace: false)
    guard takeName("in") else { throw unexpected("'in'") }
    let items = try tupleOrExpression(conditional: false)
    let condition = takeName("if") ? try expression() : nil
    if takeName("recursive") { throw .unsupported("'for … recursive'", at: position) }
    try endTag()
    openLoops += 1
    let body = try statements(until: ["else", "endfor"])
    openLoops -= 1
    var otherwise: [TemplateStatement] = []
    if try name("else or endfor") == "else" {
      otherwise = try self.body(endedBy: "endfor")
    } else {
      try endTag()
    }
    return .loop(
      TemplateLoop(
        target: target, items: items, condition: condition, body: body, otherwise: otherwise, position: position))
  }

  private mutating func assignment() throws(TemplateError) -> TemplateStatement {
    let target = try target(namespace: true)
    if take("=") {
      let value = try tupleOrExpression()
      try endTag()
      return .set(target, value)
    }
    let filters = take("|") ? try filterChain() : []
    return .setBlock(target, filters: filters, body: try body(endedBy: "endset"))
  }

  private mutating func macro(at position: TemplatePosition) throws(TemplateError) -> TemplateStatement {
    let name = try name("a macro's name")
    let parameters = try macroParameters()
    return .macro(
      TemplateMacro(name: name, parameters: parameters, body: try macroBody(endedBy: "endmacro"), position: position))
  }

  private mutating func callBlock(at position: TemplatePosition) throws(TemplateError) -> TemplateStatement {
    let parameters = isSymbol("(") ? try macroParameters() : []
    let call = try expression()
    guard case .call = call.node else { throw .syntax("a call block needs a call", at: call.position) }
    let body = try macroBody(endedBy: "endcall")
    return .callBlock(
      call, caller: TemplateMacro(name: "caller", parameters: parameters, body: body, position: position))
  }

  private mutating func macroParameters() throws(TemplateError) -> [(name: String, standard: TemplateExpression?)] {
    guard take("(") else { throw unexpected("'('") }
    var parameters: [(name: String, standard: TemplateExpression?)] = []
    while !isSymbol(")") {
      if !parameters.isEmpty { guard take(",") else { throw unexpected("','") } }
      let position = current.position
      let name = try name("a parameter")
      let standard = take("=") ? try expression() : nil
      if standard == nil, parameters.last?.standard != nil {
        throw .syntax("the parameter '\(name)' without a default follows one with", at: position)
      }
      parameters.append((name, standard))
    }
    index += 1
    return parameters
  }

  private mutating func macroBody(endedBy end: String) throws(TemplateError) -> [TemplateStatement] {
    let outerLoops = openLoops
    openLoops = 0
    defer { openLoops = outerLoops }
    return try body(endedBy: end)
  }

  private mutating func filterBlock() throws(TemplateError) -> TemplateStatement {
    let filters = try filterChain()
    return .filterBlock(filters, body: try body(endedBy: "endfilter"))
  }

  private mutating func with() throws(TemplateError) -> TemplateStatement {
    var assignments: [(target: TemplateTarget, value: TemplateExpression)] = []
    while current.kind != .blockEnd {
      if !assignments.isEmpty { guard take(",") else { throw unexpected("','") } }
      let target = try simpleTarget(namespace: false)
      guard take("=") else { throw unexpected("'='") }
      assignments.append((target, try expression()))
    }
    return .with(assignments, body: try body(endedBy: "endwith"))
  }

  /// Reads `%} … {% END %}`.
  private mutating func body(endedBy end: String) throws(TemplateError) -> [TemplateStatement] {
    try endTag()
    let body = try statements(until: [end])
    index += 1
    try endTag()
    return body
  }

  // MARK: - Targets

  private mutating func target(namespace: Bool) throws(TemplateError) -> TemplateTarget {
    let position = current.position
    var targets = [try simpleTarget(namespace: namespace)]
    guard isSymbol(",") else { return targets[0] }
    while take(",") {
      if isSymbol("=") || isSymbol(")") || current.kind == .name("in") { break }
      targets.append(try simpleTarget(namespace: namespace))
    }
    return .tuple(targets, position)
  }

  private mutating func simpleTarget(namespace: Bool) throws(TemplateError) -> TemplateTarget {
    let position = current.position
    if take("(") {
      try descend()
      defer { nesting -= 1 }
      let inner = try target(namespace: namespace)
      guard take(")") else { throw unexpected("')'") }
      return inner
    }
    let name = try name("a variable's name")
    guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
      throw .syntax("cannot assign to '\(name)'", at: position)
    }
    guard namespace, take(".") else { return .name(name) }
    return .namespace(name, attribute: try self.name("an attribute's name"), position)
  }

  // MARK: - Tokens

  var current: TemplateToken { tokens[index] }

  mutating func advance() { index += 1 }

  mutating func stepBack() { index -= 1 }

  func isSymbolNext(_ symbol: String) -> Bool {
    index + 1 < tokens.count && tokens[index + 1].kind == .symbol(symbol)
  }

  /// Counts one more level of nesting; the caller takes it back.
  mutating func descend() throws(TemplateError) {
    guard nesting < Self.maximumNesting else {
      throw .limit("it nests deeper than \(Self.maximumNesting)", at: current.position)
    }
    nesting += 1
  }

  mutating func ascend() { nesting -= 1 }

  func isSymbol(_ symbol: String) -> Bool {
    if case .symbol(symbol) = current.kind { true } else { false }
  }

  func isName(_ name: String) -> Bool {
    if case .name(name) = current.kind { true } else { false }
  }

  mutating func take(_ symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    index += 1
    return true
  }

  mutating func takeName(_ name: String) -> Bool {
    guard isName(name) else { return false }
    index += 1
    return true
  }

  mutating func name(_ what: String) throws(TemplateError) -> String {
    guard case .name(let name) = current.kind else { throw unexpected(what) }
    index += 1
    return name
  }

  private mutating func expect(_ kind: TemplateToken.Kind, _ text: String) throws(TemplateError) {
    guard current.kind == kind else { throw unexpected("'\(text)'") }
    index += 1
  }

  /// Jinja allows a colon there, as Python has one.
  private mutating func endTag() throws(TemplateError) {
    _ = take(":")
    try expect(.blockEnd, "%}")
  }

  func unexpected(_ expected: String) -> TemplateError {
    let found =
      switch current.kind {
      case .text: "text"
      case .blockBegin: "{%"
      case .blockEnd: "%}"
      case .variableBegin: "{{"
      case .variableEnd: "}}"
      case .name(let name): "'\(name)'"
      case .string(let text): "the text '\(text)'"
      case .integer(let number): "\(number)"
      case .float(let number): "\(number)"
      case .symbol(let symbol): "'\(symbol)'"
      case .end: "the template's end"
      }
    return .syntax("expected \(expected), found \(found)", at: current.position)
  }
}
