extension JinjaValue {
  /// Python's `str`, as `{{ value }}` prints it; undefined is empty.
  func text(_ budget: inout TemplateBudget) throws(TemplateFault) -> String {
    switch self {
    case .undefined: return ""
    case .string(let value): return value
    default:
      var text = ""
      try appendRepresentation(to: &text, &budget)
      return text
    }
  }

  /// Python's `repr`.
  func representation(_ budget: inout TemplateBudget) throws(TemplateFault) -> String {
    var text = ""
    try appendRepresentation(to: &text, &budget)
    return text
  }

  private func appendRepresentation(to text: inout String, _ budget: inout TemplateBudget) throws(TemplateFault) {
    try budget.spend()
    switch self {
    case .undefined: text += "Undefined"
    case .none: text += "None"
    case .bool(let value): text += value ? "True" : "False"
    case .int(let value): text += String(value)
    case .double(let value): text += PythonText.float(value)
    case .string(let value):
      try budget.spend(textBytes: value.utf8.count)
      text += PythonText.quoted(value)
    case .list(let items): try Self.append(items, between: ("[", "]"), to: &text, &budget)
    case .tuple(let items):
      try Self.append(items, between: ("(", items.elements.count == 1 ? ",)" : ")"), to: &text, &budget)
    case .dictionary(let dictionary):
      text += "{"
      for (index, entry) in dictionary.map.entries.enumerated() {
        if index > 0 { text += ", " }
        try budget.spend(textBytes: entry.key.utf8.count)
        text += PythonText.quoted(entry.key) + ": "
        try entry.value.appendRepresentation(to: &text, &budget)
      }
      text += "}"
    case .iterator, .namespace, .function, .loop:
      throw .evaluation("a \(typeName) has no text; put '|list' behind it if it is an iterator")
    }
    try budget.spend(textBytes: 0)
    guard text.utf8.count <= TemplateBudget.maximumTextBytes else {
      throw .limit("it makes a text of more than \(TemplateBudget.maximumTextBytes) bytes")
    }
  }

  private static func append(
    _ items: JinjaItems, between brackets: (String, String), to text: inout String, _ budget: inout TemplateBudget
  ) throws(TemplateFault) {
    text += brackets.0
    for (index, element) in items.elements.enumerated() {
      if index > 0 { text += ", " }
      try element.appendRepresentation(to: &text, &budget)
    }
    text += brackets.1
  }
}
