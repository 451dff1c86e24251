/// One finding about a body's field, in the words of pydantic, which vLLM's clients know.
struct ValidationProblem: Sendable, Equatable {
  enum Kind: Sendable, Equatable {
    case missing
    case boolType, boolParsing
    case intType, intParsing, intFromFloat
    case floatType, floatParsing
    case stringType, listType, dictType
    case notAnObject
    case jsonInvalid(String)
    case outOfRange(ClosedRange<Int>)
    case value(String)

    var name: String {
      switch self {
      case .missing: "missing"
      case .boolType: "bool_type"
      case .boolParsing: "bool_parsing"
      case .intType: "int_type"
      case .intParsing: "int_parsing"
      case .intFromFloat: "int_from_float"
      case .floatType: "float_type"
      case .floatParsing: "float_parsing"
      case .stringType: "string_type"
      case .listType: "list_type"
      case .dictType: "dict_type"
      case .notAnObject: "model_attributes_type"
      case .jsonInvalid: "json_invalid"
      case .outOfRange, .value: "value_error"
      }
    }

    var message: String {
      switch self {
      case .missing: "Field required"
      case .boolType: "Input should be a valid boolean"
      case .boolParsing: "Input should be a valid boolean, unable to interpret input"
      case .intType: "Input should be a valid integer"
      case .intParsing: "Input should be a valid integer, unable to parse string as an integer"
      case .intFromFloat: "Input should be a valid integer, got a number with a fractional part"
      case .floatType: "Input should be a valid number"
      case .floatParsing: "Input should be a valid number, unable to parse string as a number"
      case .stringType: "Input should be a valid string"
      case .listType: "Input should be a valid list"
      case .dictType: "Input should be a valid dictionary"
      case .notAnObject: "Input should be a valid dictionary or object to extract fields from"
      case .jsonInvalid: "JSON decode error"
      case .outOfRange(let range):
        "Input should be greater than or equal to \(range.lowerBound) and less than or equal to \(range.upperBound)"
      case .value(let text): text
      }
    }
  }

  var kind: Kind
  /// `body.max_tokens`
  var path: String
  var input: String

  init(_ kind: Kind, at path: String, input: BodyValue) {
    self.kind = kind
    self.path = Self.shortened(path)
    self.input = Self.summary(of: input)
  }

  var error: APIError { Self.error(for: [self], of: 1) }

  /// The findings in one 400; `param` is the first one's path.
  /// - Parameter count: Of all findings, told and untold.
  static func error(for problems: [ValidationProblem], of count: Int) -> APIError {
    var lines = problems.map { "  " + $0.line }
    if count > problems.count { lines.append("  and \(count - problems.count) more") }
    return APIError(
      status: 400, type: "Bad Request",
      message: "\(count) validation \(count == 1 ? "error" : "errors"):\n" + lines.joined(separator: "\n"),
      param: problems.first?.path)
  }

  private var line: String {
    var line = "{'type': '\(kind.name)', 'loc': '\(path)', 'msg': '\(kind.message)', 'input': '\(input)'"
    if case .jsonInvalid(let reason) = kind { line += ", 'ctx': {'error': '\(reason)'}" }
    return line + "}"
  }

  /// Short enough that an error never echoes a whole prompt.
  private static func summary(of value: BodyValue) -> String {
    switch value {
    case .null: "None"
    case .bool(let flag): flag ? "True" : "False"
    case .integer(let integer): "\(integer)"
    case .number(let number): "\(number)"
    case .string(let text): shortened(text)
    case .array(let elements): "<list of \(elements.count) items>"
    case .object(let fields): "<dict of \(fields.members.count) items>"
    }
  }

  private static func shortened(_ text: String) -> String {
    let start = text.prefix(64)
    return start.endIndex == text.endIndex ? text : start + "…"
  }
}
