/// An expression and where it starts.
struct TemplateExpression: Sendable {
  let position: TemplatePosition
  /// The longest way down to a leaf: bounded by the parser, so that neither evaluation nor release can exhaust the stack.
  let height: Int
  let node: Node

  indirect enum Node: Sendable {
    case literal(TemplateValue)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case attribute(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateExpression, TemplateArguments)
    case filter(TemplateExpression, TemplateFilterCall)
    case test(TemplateExpression, name: String, TemplateArguments, negated: Bool)
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    case not(TemplateExpression)
    case and(TemplateExpression, TemplateExpression)
    case or(TemplateExpression, TemplateExpression)
    case arithmetic(ArithmeticOperator, TemplateExpression, TemplateExpression)
    case comparison(TemplateExpression, [(symbol: ComparisonOperator, operand: TemplateExpression)])
    case concatenation([TemplateExpression])
    case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
  }
}

enum ArithmeticOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case floorDivide = "//"
  case remainder = "%"
  case power = "**"
}

enum ComparisonOperator: String, Sendable {
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="
  case contained = "in"
  case notContained = "not in"
}

/// The arguments of a call, a filter or a test, as written.
struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []

  var height: Int { max(positional.map(\.height).max() ?? 0, named.map(\.value.height).max() ?? 0) }
}

struct TemplateFilterCall: Sendable {
  let name: String
  let arguments: TemplateArguments
  let position: TemplatePosition
}

enum TemplateStatement: Sendable {
  case text(String, TemplatePosition)
  case output(TemplateExpression)
  case branch([(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
  case loop(TemplateLoop)
  case set(TemplateTarget, TemplateExpression)
  case setBlock(TemplateTarget, filters: [TemplateFilterCall], body: [TemplateStatement])
  case macro(TemplateMacro)
  case callBlock(TemplateExpression, caller: TemplateMacro)
  case filterBlock([TemplateFilterCall], body: [TemplateStatement])
  case with([(target: TemplateTarget, value: TemplateExpression)], body: [TemplateStatement])
  case breakLoop
  case continueLoop
}

/// `{% for TARGET in ITEMS if CONDITION %} BODY {% else %} OTHERWISE {% endfor %}`
struct TemplateLoop: Sendable {
  let target: TemplateTarget
  let items: TemplateExpression
  let condition: TemplateExpression?
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]
  let position: TemplatePosition
}

/// A macro, or (nameless) the body of a call block.
struct TemplateMacro: Sendable {
  let name: String
  let parameters: [(name: String, standard: TemplateExpression?)]
  let body: [TemplateStatement]
  let position: TemplatePosition
}

/// What stands on the left of an assignment.
indirect enum TemplateTarget: Sendable {
  case name(String)
  case namespace(String, attribute: String, TemplatePosition)
  case tuple([TemplateTarget], TemplatePosition)
}
