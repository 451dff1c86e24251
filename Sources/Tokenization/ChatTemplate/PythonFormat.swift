/// Python's two ways to format: `'%s' % value` and `'{}'.format(value)`, without widths and precisions.
enum PythonFormat {
  /// `%s`, `%r`, `%d`, `%i` and `%%`; another conversion is a fault that names it.
  static func percent(
    _ format: String, _ operand: JinjaValue, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> String {
    var operands = if case .tuple(let items) = operand { items.elements[...] } else { [operand][...] }
    var result = ""
    var scalars = format.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      let conversion = scalars.next()
      if conversion == "%" {
        result += "%"
        continue
      }
      guard let conversion, ["s", "r", "d", "i"].contains(conversion) else {
        throw .evaluation("the format '%\(conversion.map { String(Character($0)) } ?? "")' is not known")
      }
      guard let value = operands.popFirst() else { throw .evaluation("not enough arguments for format string") }
      result += try converted(value, conversion, &budget)
      try budget.spend(textBytes: result.utf8.count)
    }
    if case .dictionary = operand { return result }
    guard operands.isEmpty else { throw .evaluation("not all arguments converted during string formatting") }
    return result
  }

  private static func converted(
    _ value: JinjaValue, _ conversion: Unicode.Scalar, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> String {
    switch conversion {
    case "s": return try value.text(&budget)
    case "r": return try value.representation(&budget)
    default:
      if let integer = value.integer { return String(integer) }
      if let number = value.number, let integer = Int(exactly: number.rounded(.towardZero)) { return String(integer) }
      throw .evaluation("%d format: a number is required, not \(value.typeName)")
    }
  }

  /// `{}`, `{0}`, `{name}`, `{{` and `}}`; anything else in braces is a fault that names it.
  static func braces(
    _ format: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> String {
    var result = ""
    var next = 0
    var rest = Substring(format).unicodeScalars
    while let scalar = rest.popFirst() {
      if scalar == "{" || scalar == "}", rest.first == scalar {
        rest.removeFirst()
        result.unicodeScalars.append(scalar)
      } else if scalar == "{" {
        guard let end = rest.firstIndex(of: "}") else { throw .evaluation("expected '}' before end of string") }
        let field = String(rest[..<end])
        rest = rest[rest.index(after: end)...]
        result += try value(of: field, arguments, next: &next).text(&budget)
        try budget.spend(textBytes: result.utf8.count)
      } else if scalar == "}" {
        throw .evaluation("single '}' encountered in format string")
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func value(
    of field: String, _ arguments: JinjaArguments, next: inout Int
  ) throws(TemplateFault) -> JinjaValue {
    if let named = arguments.named.first(where: { $0.name == field }) { return named.value }
    guard field.isEmpty || Int(field) != nil else { throw .evaluation("the format field '{\(field)}' is not known") }
    let index = Int(field) ?? next
    if field.isEmpty { next += 1 }
    guard arguments.positional.indices.contains(index) else {
      throw .evaluation("there is no argument for the format field '{\(field)}'")
    }
    return arguments.positional[index]
  }
}
