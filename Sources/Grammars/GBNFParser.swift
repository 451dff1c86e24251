/// Reads a grammar in GBNF, llama.cpp's form of BNF: `root ::= "yes" | item ("," item)*`, with classes as in regular
/// expressions, `* + ? {m,n}`, groups, and `#` comments. The rule `root` is the whole output.
struct GBNFParser {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var numbers: [String: Int] = [:]
  private var bodies: [Int: Expression] = [:]

  private static let maximumDepth = 64
  static let mostRules = 1024

  /// - Returns: Rules, of which the first is the whole output.
  static func parse(_ text: String) throws(GrammarError) -> [Expression] {
    var parser = GBNFParser(scalars: Array(text.unicodeScalars))
    _ = parser.number(of: "root")
    parser.skipSpace(lines: true)
    while parser.position < parser.scalars.count { try parser.rule() }
    guard parser.numbers.count <= mostRules else { throw .tooLarge(limit: mostRules) }
    var rules: [Expression] = []
    for (name, number) in parser.numbers.sorted(by: { $0.value < $1.value }) {
      guard let body = parser.bodies[number] else { throw .invalid("The grammar has no rule '\(name.prefix(64))'.") }
      rules.append(body)
    }
    return rules
  }

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  private mutating func number(of name: String) -> Int {
    if let known = numbers[name] { return known }
    numbers[name] = numbers.count
    return numbers.count - 1
  }

  private func fault(_ what: String) -> GrammarError { .invalid("The grammar has \(what) at character \(position).") }

  private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func skip(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars.dropFirst(position).starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  private mutating func skipSpace(lines: Bool) {
    while let scalar = current {
      if scalar == "#" {
        while let scalar = current, scalar != "\n" { _ = (scalar, position += 1) }
      } else if scalar == " " || scalar == "\t" || (lines && (scalar == "\n" || scalar == "\r")) {
        position += 1
      } else {
        return
      }
    }
  }

  private mutating func name() -> String? {
    let start = position
    while let scalar = current, scalar == "-" || scalar == "_" || ScalarSet.words.contains(scalar.value) {
      position += 1
    }
    return start == position ? nil : String(String.UnicodeScalarView(scalars[start..<position]))
  }

  private mutating func rule() throws(GrammarError) {
    guard let name = name() else { throw fault("no rule's name") }
    skipSpace(lines: false)
    guard skip("::=") else { throw fault("no '::=' after '\(name.prefix(64))'") }
    let number = number(of: name)
    guard bodies[number] == nil else { throw fault("a second rule '\(name.prefix(64))' before it ends") }
    bodies[number] = try alternatives(depth: 0)
    guard current == nil || current == "\n" || current == "\r" else { throw fault("something unexpected") }
    skipSpace(lines: true)
  }

  private mutating func alternatives(depth: Int) throws(GrammarError) -> Expression {
    guard depth < Self.maximumDepth else { throw fault("groups nested deeper than \(Self.maximumDepth)") }
    var alternatives: [Expression] = []
    repeat {
      skipSpace(lines: true)
      alternatives.append(try sequence(depth: depth))
    } while skip("|")
    return .choice(alternatives)
  }

  private mutating func sequence(depth: Int) throws(GrammarError) -> Expression {
    var parts: [Expression] = []
    while let scalar = current, scalar != "|", scalar != ")", depth > 0 || (scalar != "\n" && scalar != "\r") {
      parts.append(try repeated(try item(depth: depth)))
      skipSpace(lines: depth > 0)
    }
    return .sequence(parts)
  }

  private mutating func item(depth: Int) throws(GrammarError) -> Expression {
    if skip("(") {
      let body = try alternatives(depth: depth + 1)
      guard skip(")") else { throw fault("an unclosed '('") }
      return body
    }
    if current == "\"" { return try literal() }
    if current == "[" || current == "." { return try characters() }
    guard let name = name() else { throw fault("something unexpected") }
    return .rule(number(of: name))
  }

  /// The text up to the next unescaped `end`, `end` included.
  private mutating func text(to end: Unicode.Scalar) throws(GrammarError) -> String {
    let start = position
    position += 1
    while let scalar = current, scalar != end { position += scalar == "\\" ? 2 : 1 }
    guard current == end else { throw fault("no closing '\(end)'") }
    position += 1
    return String(String.UnicodeScalarView(scalars[start..<position]))
  }

  private mutating func literal() throws(GrammarError) -> Expression {
    let text = try text(to: "\"").dropFirst().dropLast()
    // A literal's escapes are a pattern's; all else in it stands for itself.
    var pattern = ""
    var isEscaped = false
    for scalar in text.unicodeScalars {
      if !isEscaped, scalar != "\\", !ScalarSet.words.contains(scalar.value) { pattern += "\\" }
      pattern.unicodeScalars.append(scalar)
      isEscaped = !isEscaped && scalar == "\\"
    }
    return try RegexParser.parse(pattern)
  }

  private mutating func characters() throws(GrammarError) -> Expression {
    guard current == "[" else {
      position += 1
      return ScalarSet.all.expression
    }
    return try RegexParser.parse(try text(to: "]"))
  }

  private mutating func repeated(_ item: Expression) throws(GrammarError) -> Expression {
    if skip("*") { return .repetition(item, 0, nil) }
    if skip("+") { return .repetition(item, 1, nil) }
    if skip("?") { return .optional(item) }
    guard current == "{" else { return item }
    let bounds = try text(to: "}").dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
    let numbers = bounds.map { Int($0.filter { $0 != " " }) }
    let limit = RegexParser.maximumRepetition
    guard let least = numbers[0], numbers.count < 3, (0...limit).contains(least) else {
      throw fault("a bad repetition")
    }
    let most = numbers.count == 1 ? least : numbers[1]
    guard (least...limit).contains(most ?? limit) else { throw fault("a bad repetition") }
    return .repetition(item, least, most)
  }
}
