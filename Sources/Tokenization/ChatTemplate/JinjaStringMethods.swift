/// The methods of texts, as Python's `str` has them.
enum JinjaStringMethods {
  typealias Method =
    @Sendable (String, JinjaArguments, inout TemplateBudget) throws(TemplateFault) -> JinjaValue

  static let table: [String: Method] = {
    var table: [String: Method] = [
      "strip": strip, "lstrip": stripLeft, "rstrip": stripRight,
      "split": split, "rsplit": splitRight, "splitlines": splitLines,
      "partition": partition, "rpartition": partitionRight,
      "startswith": startsWith, "endswith": endsWith, "find": find, "rfind": findLast, "count": count,
      "replace": replace, "removeprefix": removePrefix, "removesuffix": removeSuffix,
      "join": join, "format": format,
    ]
    for (name, mapping) in mappings { table[name] = method(name) { .string(mapping($0)) } }
    for (name, check) in checks { table[name] = method(name) { .bool(check($0)) } }
    return table
  }()

  /// A method without arguments that reads the text once.
  private static func method(_ name: String, _ result: @escaping @Sendable (String) -> JinjaValue) -> Method {
    @Sendable func method(
      _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
    ) throws(TemplateFault) -> JinjaValue {
      try arguments.requireNone(of: name)
      try budget.spend(textBytes: text.utf8.count)
      return result(text)
    }
    return method
  }

  private static let mappings: [(String, @Sendable (String) -> String)] = [
    ("upper", { $0.uppercased() }), ("lower", { $0.lowercased() }),
    ("title", PythonText.titled), ("capitalize", PythonText.capitalized),
  ]

  private static let checks: [(String, @Sendable (String) -> Bool)] = [
    ("isupper", isUpper), ("islower", isLower),
    ("isspace", { !$0.isEmpty && $0.unicodeScalars.allSatisfy(PythonText.isWhitespace) }),
    ("isdigit", { !$0.isEmpty && $0.unicodeScalars.allSatisfy { isDigit($0) } }),
    ("isalpha", { !$0.isEmpty && $0.unicodeScalars.allSatisfy { isLetter($0) } }),
    ("isalnum", { !$0.isEmpty && $0.unicodeScalars.allSatisfy { isLetter($0) || $0.properties.numericType != nil } }),
  ]

  /// Some letter with case, and every one of them small.
  static func isLower(_ text: String) -> Bool {
    let cased = text.unicodeScalars.filter(\.properties.isCased)
    return !cased.isEmpty && cased.allSatisfy(\.properties.isLowercase)
  }

  static func isUpper(_ text: String) -> Bool {
    let cased = text.unicodeScalars.filter(\.properties.isCased)
    return !cased.isEmpty && cased.allSatisfy(\.properties.isUppercase)
  }

  private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.numericType == .decimal || scalar.properties.numericType == .digit
  }

  private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  // MARK: - Ends

  private static func strip(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try budget.spend(textBytes: text.utf8.count)
    return .string(PythonText.strip(text, try characters(arguments, of: "strip")))
  }

  private static func stripLeft(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try budget.spend(textBytes: text.utf8.count)
    return .string(PythonText.strip(text, try characters(arguments, of: "lstrip"), trailing: false))
  }

  private static func stripRight(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try budget.spend(textBytes: text.utf8.count)
    return .string(PythonText.strip(text, try characters(arguments, of: "rstrip"), leading: false))
  }

  private static func characters(
    _ arguments: JinjaArguments, of method: String
  ) throws(TemplateFault) -> String? {
    try arguments.bound(to: "chars", of: method).optionalString(for: "chars")
  }

  private static func startsWith(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try matches(arguments, of: "startswith", &budget) { text.utf8.starts(with: $0.utf8) }
  }

  private static func endsWith(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try matches(arguments, of: "endswith", &budget) { text.utf8.reversed().starts(with: $0.utf8.reversed()) }
  }

  /// One text, or a tuple of texts of which one must match.
  private static func matches(
    _ arguments: JinjaArguments, of method: String, _ budget: inout TemplateBudget, _ match: (String) -> Bool
  ) throws(TemplateFault) -> JinjaValue {
    let value = try arguments.bound(to: "part", of: method)
    guard case .tuple(let parts) = value else { return .bool(match(try value.string(for: "part"))) }
    try budget.spend(parts.elements.count)
    for part in parts.elements where match(try JinjaValue?.some(part).string(for: "part")) { return .bool(true) }
    return .bool(false)
  }

  private static func removePrefix(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let part = try arguments.bound(to: "prefix", of: "removeprefix").string(for: "prefix")
    try budget.spend(textBytes: text.utf8.count)
    guard text.utf8.starts(with: part.utf8) else { return .string(text) }
    return .string(String(decoding: text.utf8.dropFirst(part.utf8.count), as: UTF8.self))
  }

  private static func removeSuffix(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let part = try arguments.bound(to: "suffix", of: "removesuffix").string(for: "suffix")
    try budget.spend(textBytes: text.utf8.count)
    guard text.utf8.reversed().starts(with: part.utf8.reversed()) else { return .string(text) }
    return .string(String(decoding: text.utf8.dropLast(part.utf8.count), as: UTF8.self))
  }

  // MARK: - Splitting

  private static func split(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let (separator, limit) = try splitting(arguments, of: "split")
    try budget.spend(2 * text.utf8.count)
    guard let separator else { return try list(PythonText.words(text, limit: limit)) }
    return try list(PythonText.split(text, by: separator, limit: limit))
  }

  private static func splitRight(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let (separator, limit) = try splitting(arguments, of: "rsplit")
    try budget.spend(2 * text.utf8.count)
    guard let separator else {
      guard limit == nil else { throw .evaluation("rsplit with a limit needs a separator") }
      return try list(PythonText.words(text))
    }
    return try list(PythonText.splitBackwards(text, by: separator, limit: limit))
  }

  private static func splitting(
    _ arguments: JinjaArguments, of method: String
  ) throws(TemplateFault) -> (separator: String?, limit: Int?) {
    let bound = try arguments.bound(to: ["sep", "maxsplit"], of: method)
    let separator = try bound[0].optionalString(for: "sep")
    guard separator != "" else { throw .evaluation("empty separator") }
    let limit = try bound[1].integer(or: -1, for: "maxsplit")
    return (separator, limit < 0 ? nil : limit)
  }

  private static func splitLines(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "splitlines")
    try budget.spend(2 * text.utf8.count)
    return try list(PythonText.lines(text))
  }

  private static func partition(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let separator = try separator(arguments, of: "partition")
    try budget.spend(textBytes: text.utf8.count)
    let pieces = PythonText.split(text, by: separator, limit: 1)
    return try triple(pieces.count == 2 ? [pieces[0], separator, pieces[1]] : [text, "", ""])
  }

  private static func partitionRight(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let separator = try separator(arguments, of: "rpartition")
    try budget.spend(textBytes: text.utf8.count)
    let pieces = PythonText.splitBackwards(text, by: separator, limit: 1)
    return try triple(pieces.count == 2 ? [pieces[0], separator, pieces[1]] : ["", "", text])
  }

  private static func separator(_ arguments: JinjaArguments, of method: String) throws(TemplateFault) -> String {
    let separator = try arguments.bound(to: "sep", of: method).string(for: "sep")
    guard separator != "" else { throw .evaluation("empty separator") }
    return separator
  }

  private static func list(_ texts: [String]) throws(TemplateFault) -> JinjaValue {
    .list(try JinjaItems(texts.map(JinjaValue.string)))
  }

  private static func triple(_ texts: [String]) throws(TemplateFault) -> JinjaValue {
    .tuple(try JinjaItems(texts.map(JinjaValue.string)))
  }

  // MARK: - Searching

  private static func find(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let part = try arguments.bound(to: "sub", of: "find").string(for: "sub")
    try budget.spend(textBytes: text.utf8.count)
    return .int(index(ofByte: PythonText.find(part, in: text), in: text))
  }

  private static func findLast(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let part = try arguments.bound(to: "sub", of: "rfind").string(for: "sub")
    try budget.spend(textBytes: text.utf8.count)
    let place = PythonText.findLast(Array(part.utf8), in: Array(text.utf8), upTo: text.utf8.count)
    return .int(index(ofByte: place, in: text))
  }

  /// Code points before a byte; -1 for nil, as Python says it.
  private static func index(ofByte place: Int?, in text: String) -> Int {
    guard let place else { return -1 }
    return String(decoding: text.utf8.prefix(place), as: UTF8.self).unicodeScalars.count
  }

  private static func count(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let part = try arguments.bound(to: "sub", of: "count").string(for: "sub")
    try budget.spend(2 * text.utf8.count)
    return .int(PythonText.count(part, in: text))
  }

  // MARK: - Building

  private static func replace(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["old", "new", "count"], of: "replace")
    let count = try bound[2].integer(or: -1, for: "count")
    return .string(
      try replaced(
        text, try bound[0].string(for: "old"), try bound[1].string(for: "new"), limit: count < 0 ? nil : count, &budget)
    )
  }

  /// Pays for the result before it is made.
  static func replaced(
    _ text: String, _ old: String, _ new: String, limit: Int?, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> String {
    try budget.spend(2 * text.utf8.count)
    let count = min(PythonText.count(old, in: text), limit ?? .max)
    let (growth, overflow) = count.multipliedReportingOverflow(by: new.utf8.count)
    try budget.spend(textBytes: overflow || growth > 1 << 40 ? .max : text.utf8.count + growth)
    return PythonText.replace(old, with: new, in: text, limit: limit)
  }

  private static func join(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    guard let sequence = try arguments.bound(to: "iterable", of: "join") else {
      throw .evaluation("join needs an argument")
    }
    var parts: [String] = []
    for element in try sequence.elements(&budget) {
      parts.append(try JinjaValue?.some(element).string(for: "iterable"))
    }
    return .string(try joined(parts, by: text, &budget))
  }

  static func joined(
    _ parts: [String], by separator: String, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> String {
    var bytes = 0
    for part in parts {
      bytes += part.utf8.count + separator.utf8.count
      guard bytes <= 2 * TemplateBudget.maximumTextBytes else { break }
    }
    try budget.spend(textBytes: max(0, bytes - separator.utf8.count))
    return parts.joined(separator: separator)
  }

  private static func format(
    _ text: String, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    .string(try PythonFormat.braces(text, arguments, &budget))
  }
}
