/// Python's `json.dumps`, as transformers' `tojson` calls it: entries in their order, no escape beyond what JSON needs.
struct PythonJSON {
  var ensureASCII = false
  /// What one level of nesting is indented by; all on one line when nil.
  var indent: String?
  var separators: (item: String, key: String)?
  var sortsKeys = false

  func text(of value: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> String {
    var text = ""
    try append(value, level: 0, to: &text, &budget)
    return text
  }

  private func append(
    _ value: JinjaValue, level: Int, to text: inout String, _ budget: inout TemplateBudget
  ) throws(TemplateFault) {
    try budget.spend()
    switch value {
    case .none: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .int(let value): text += String(value)
    case .double(let value): text += Self.number(value)
    case .string(let value): try append(value, to: &text, &budget)
    case .list(let items), .tuple(let items):
      try appendGroup("[", "]", items.elements, level: level, to: &text, &budget) {
        (element, text, budget) throws(TemplateFault) in
        try append(element, level: level + 1, to: &text, &budget)
      }
    case .dictionary(let dictionary):
      let entries = dictionary.map.entries
      let ordered = sortsKeys ? entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : entries
      try appendGroup("{", "}", ordered, level: level, to: &text, &budget) {
        (entry, text, budget) throws(TemplateFault) in
        try append(entry.key, to: &text, &budget)
        text += separators?.key ?? ": "
        try append(entry.value, level: level + 1, to: &text, &budget)
      }
    case .undefined, .iterator, .namespace, .function, .loop:
      throw .evaluation("Object of type \(value.typeName) is not JSON serializable")
    }
    guard text.utf8.count <= TemplateBudget.maximumTextBytes else {
      throw .limit("it makes a text of more than \(TemplateBudget.maximumTextBytes) bytes")
    }
  }

  private func appendGroup<Element>(
    _ open: String, _ close: String, _ elements: [Element], level: Int, to text: inout String,
    _ budget: inout TemplateBudget,
    each: (Element, inout String, inout TemplateBudget) throws(TemplateFault) -> Void
  ) throws(TemplateFault) {
    text += open
    let comma = separators?.item ?? (indent == nil ? ", " : ",")
    for (index, element) in elements.enumerated() {
      if index > 0 { text += comma }
      appendLineBreak(level: level + 1, to: &text)
      try each(element, &text, &budget)
    }
    if !elements.isEmpty { appendLineBreak(level: level, to: &text) }
    text += close
  }

  private func appendLineBreak(level: Int, to text: inout String) {
    guard let indent else { return }
    text += "\n" + String(repeating: indent, count: level)
  }

  private func append(
    _ value: String, to text: inout String, _ budget: inout TemplateBudget
  ) throws(TemplateFault) {
    try budget.spend(textBytes: value.utf8.count)
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{8}": text += "\\b"
      case "\u{C}": text += "\\f"
      default:
        if scalar.value < 0x20 || ensureASCII && !(0x20...0x7E).contains(scalar.value) {
          for unit in String(Character(scalar)).utf16 {
            text += "\\u" + PythonText.hexadecimal(UInt32(unit), digits: 4)
          }
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }

  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity" }
    return PythonText.float(value)
  }
}
