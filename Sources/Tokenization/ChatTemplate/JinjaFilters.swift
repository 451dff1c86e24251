/// What may stand behind `|`. Source: jinja2's `filters.py` (3.1); `tojson` as in transformers' `chat_template_utils.py`.
///
/// `safe` changes nothing: there is no autoescape. (In Jinja it also makes a later `+` escape its other operand.)
enum JinjaFilters {
  typealias Filter =
    @Sendable (JinjaValue, JinjaArguments, inout TemplateBudget) throws(TemplateFault) -> JinjaValue

  static let table: [String: Filter] = [
    "abs": absolute, "capitalize": capitalized, "count": length, "d": standard, "default": standard,
    "float": float, "format": formatted, "indent": indented, "int": integer, "length": length, "lower": lowered,
    "replace": replaced, "safe": string, "string": string, "title": titled, "tojson": json, "trim": trimmed,
    "upper": uppered,
  ].merging(JinjaSequenceFilters.table) { filter, _ in filter }

  // MARK: - Any value

  private static func standard(
    _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["default_value", "boolean"], of: "default")
    let isReplaced = value.isUndefined || bound[1].isTrue(or: false) && !value.isTrue
    return isReplaced ? bound[0] ?? .string("") : value
  }

  private static func length(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "length")
    return .int(try value.length(&budget))
  }

  private static func string(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "string")
    return .string(try value.text(&budget))
  }

  /// A wider indent than this is no indent.
  private static let maximumIndent = 256

  private static func json(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
    var json = PythonJSON(ensureASCII: bound[0].isTrue(or: false), sortsKeys: bound[3].isTrue(or: false))
    switch bound[1] {
    case nil, .some(.none): break
    case .string(let indent)?: json.indent = indent
    case let indent: json.indent = try blanks(indent.integer(or: 0, for: "indent"))
    }
    guard json.indent?.utf8.count ?? 0 <= maximumIndent else { throw .limit("the indent is too wide") }
    switch bound[2] {
    case nil, .some(.none): break
    case .tuple(let pair)?, .list(let pair)?:
      guard pair.elements.count == 2, case (.string(let item), .string(let key)) = (pair.elements[0], pair.elements[1])
      else { fallthrough }
      json.separators = (item, key)
    default: throw .evaluation("tojson's separators are two strings")
    }
    return .string(try json.text(of: value, &budget))
  }

  // MARK: - Numbers

  private static func absolute(
    _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "abs")
    if let integer = value.integer { return integer < 0 ? try value.negated() : .int(integer) }
    guard let number = value.number else { throw .evaluation("bad operand type for abs(): '\(value.typeName)'") }
    return .double(number.magnitude)
  }

  private static func integer(
    _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let standard = try arguments.bound(to: "default", of: "int") ?? .int(0)
    switch value {
    case .undefined(let what): throw .evaluation(what)
    case .string(let text):
      let digits = PythonText.strip(text)
      if let integer = Int(digits) { return .int(integer) }
      return Double(digits).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map(JinjaValue.int) ?? standard
    default:
      if let integer = value.integer { return .int(integer) }
      return value.number.flatMap { Int(exactly: $0.rounded(.towardZero)) }.map(JinjaValue.int) ?? standard
    }
  }

  private static func float(
    _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let standard = try arguments.bound(to: "default", of: "float") ?? .double(0)
    switch value {
    case .undefined(let what): throw .evaluation(what)
    case .string(let text): return Double(PythonText.strip(text)).map(JinjaValue.double) ?? standard
    default: return value.number.map(JinjaValue.double) ?? standard
    }
  }

  // MARK: - Texts; a value that is none is made one

  private static func mapped(
    _ value: JinjaValue, _ arguments: JinjaArguments, _ budget: inout TemplateBudget, by filter: String,
    _ map: (String) -> String
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: filter)
    let text = try value.text(&budget)
    try budget.spend(textBytes: text.utf8.count)
    return .string(map(text))
  }

  private static func lowered(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try mapped(value, arguments, &budget, by: "lower") { $0.lowercased() }
  }

  private static func uppered(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try mapped(value, arguments, &budget, by: "upper") { $0.uppercased() }
  }

  private static func capitalized(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try mapped(value, arguments, &budget, by: "capitalize", PythonText.capitalized)
  }

  /// Unlike `str.title`, it takes only blanks, dashes and opening brackets for the ends of words.
  private static func titled(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try mapped(value, arguments, &budget, by: "title") { text in
      var result = ""
      var startsWord = true
      for scalar in text.unicodeScalars {
        result += startsWord ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
        startsWord = PythonText.isWhitespace(scalar) || ["-", "(", "{", "[", "<"].contains(scalar)
      }
      return result
    }
  }

  private static func trimmed(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let characters = try arguments.bound(to: "chars", of: "trim").optionalString(for: "chars")
    let text = try value.text(&budget)
    try budget.spend(textBytes: text.utf8.count)
    return .string(PythonText.strip(text, characters))
  }

  private static func replaced(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["old", "new", "count"], of: "replace")
    guard let old = bound[0], let new = bound[1] else { throw .evaluation("replace needs two arguments") }
    let count = try bound[2].flatMap { if case .none = $0 { nil } else { $0 } }.integer(or: -1, for: "count")
    return .string(
      try JinjaStringMethods.replaced(
        try value.text(&budget), try old.text(&budget), try new.text(&budget), limit: count < 0 ? nil : count, &budget))
  }

  private static func formatted(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    guard arguments.named.isEmpty else { throw .evaluation("format with named arguments is not known") }
    let operands = JinjaValue.tuple(try JinjaItems(arguments.positional))
    return .string(try PythonFormat.percent(try value.text(&budget), operands, &budget))
  }

  private static func indented(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["width", "first", "blank"], of: "indent")
    let indent =
      if case .string(let indent) = bound[0] { indent } else { try blanks(bound[0].integer(or: 4, for: "width")) }
    let text = try value.text(&budget) + "\n"
    let lines = PythonText.lines(text)
    let (growth, overflow) = lines.count.multipliedReportingOverflow(by: indent.utf8.count + 1)
    try budget.spend(textBytes: overflow ? .max : text.utf8.count + growth)
    let indentsBlankLines = bound[2].isTrue(or: false)
    let rest = lines.dropFirst().map { $0.isEmpty && !indentsBlankLines ? $0 : indent + $0 }
    let joined = ([lines[0]] + rest).joined(separator: "\n")
    return .string(bound[1].isTrue(or: false) ? indent + joined : joined)
  }

  private static func blanks(_ count: Int) throws(TemplateFault) -> String {
    guard count <= maximumIndent else { throw .limit("the indent is wider than \(maximumIndent)") }
    return String(repeating: " ", count: max(count, 0))
  }
}
