/// Reads a regular expression of the kind that JSON schemas and vLLM's `structured_outputs.regex` hold: literals, `.`,
/// classes, `\d \w \s` and their opposites (ASCII, as in ECMA 262), groups, `|`, `* + ? {m,n}`, and `^ $` at the ends.
/// What needs more than a finite automaton (lookaround, back references) or is not read (`\b`, `\p{…}`) is an error.
struct RegexParser {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  /// How one scalar of a set is written in the output.
  private let encode: (ScalarSet) -> Expression

  private static let maximumDepth = 64
  static let maximumRepetition = 4096

  /// - Parameter isSearch: An end without an anchor stands for any text, as in a schema's `pattern`.
  static func parse(
    _ pattern: String, isSearch: Bool = false, encode: @escaping (ScalarSet) -> Expression = { $0.expression }
  ) throws(GrammarError) -> Expression {
    var parser = RegexParser(scalars: Array(pattern.unicodeScalars), encode: encode)
    let anything = Expression.repetition(encode(.all), 0, nil)
    let begins = parser.skip("^")
    let isAnchoredAtEnd = parser.scalars.last == "$" && !parser.endIsEscaped
    // An anchor at a pattern's end belongs to the last of its alternatives only.
    let body = try parser.alternatives(depth: 0, end: parser.scalars.count - (isAnchoredAtEnd ? 1 : 0))
    guard isSearch else { return body.whole }
    guard (begins && isAnchoredAtEnd) || !body.hasSeveral || (!begins && !isAnchoredAtEnd) else {
      throw .invalid("The pattern '\(pattern.prefix(64))' anchors only some of its alternatives: put them in a group.")
    }
    return .sequence([begins ? .empty : anything, body.whole, isAnchoredAtEnd ? .empty : anything])
  }

  private var endIsEscaped: Bool {
    scalars.dropLast().reversed().prefix { $0 == "\\" }.count % 2 == 1
  }

  private func fault(_ what: String) -> GrammarError {
    .invalid("The regular expression has \(what) at character \(position): it is not supported here.")
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard position < scalars.count, scalars[position] == scalar else { return false }
    position += 1
    return true
  }

  private mutating func alternatives(depth: Int, end: Int) throws(GrammarError) -> (whole: Expression, hasSeveral: Bool)
  {
    guard depth < Self.maximumDepth else { throw fault("groups nested deeper than \(Self.maximumDepth)") }
    var alternatives: [Expression] = []
    repeat {
      var parts: [Expression] = []
      while position < end, scalars[position] != "|", scalars[position] != ")" {
        parts.append(try quantified(depth: depth, end: end))
      }
      alternatives.append(.sequence(parts))
    } while position < end && skip("|")
    if depth == 0, position < end { throw fault("an unmatched ')'") }
    return (alternatives.count == 1 ? alternatives[0] : .choice(alternatives), alternatives.count > 1)
  }

  private mutating func quantified(depth: Int, end: Int) throws(GrammarError) -> Expression {
    var atom = try atom(depth: depth, end: end)
    while position < end {
      if skip("*") {
        atom = .repetition(atom, 0, nil)
      } else if skip("+") {
        atom = .repetition(atom, 1, nil)
      } else if skip("?") {
        atom = .optional(atom)
      } else if scalars[position] == "{" {
        let (least, most) = try bounds()
        atom = .repetition(atom, least, most)
      } else {
        break
      }
      // Lazy or not, the same texts match.
      _ = skip("?")
    }
    return atom
  }

  /// `{2}`, `{2,}` or `{2,5}`.
  private mutating func bounds() throws(GrammarError) -> (Int, Int?) {
    position += 1
    guard let least = number() else { throw fault("a '{' without a number") }
    var most: Int? = least
    if skip(",") { most = number() }
    guard skip("}"), most ?? least >= least, max(least, most ?? 0) <= Self.maximumRepetition else {
      throw fault("a repetition that is unclosed, descending or above \(Self.maximumRepetition)")
    }
    return (least, most)
  }

  private mutating func number() -> Int? {
    let start = position
    while position < scalars.count, position - start < 6, ("0"..."9").contains(scalars[position]) { position += 1 }
    return Int(String(String.UnicodeScalarView(scalars[start..<position])))
  }

  private mutating func atom(depth: Int, end: Int) throws(GrammarError) -> Expression {
    let scalar = scalars[position]
    position += 1
    switch scalar {
    case "(":
      if skip("?"), !skip(":") { throw fault("'(?'") }
      let body = try alternatives(depth: depth + 1, end: end)
      guard skip(")") else { throw fault("an unclosed '('") }
      return body.whole
    case "[": return encode(try characterClass(end: end))
    case ".": return encode(ScalarSet([0x0A...0x0A]).complement)
    case "\\": return encode(try escape())
    case "^", "$", "*", "+", "?", "{": throw fault("a '\(scalar)' here")
    default: return encode(ScalarSet([scalar.value...scalar.value]))
    }
  }

  private mutating func characterClass(end: Int) throws(GrammarError) -> ScalarSet {
    let isNegated = skip("^")
    var set = ScalarSet([])
    var isFirst = true
    while position < end, isFirst || scalars[position] != "]" {
      isFirst = false
      let low = try member()
      if position + 1 < end, scalars[position] == "-", scalars[position + 1] != "]" {
        position += 1
        let high = try member()
        guard let from = low.single, let to = high.single, from <= to else { throw fault("a bad range") }
        set = set.union(ScalarSet([from...to]))
      } else {
        set = set.union(low)
      }
    }
    guard skip("]") else { throw fault("an unclosed '['") }
    return isNegated ? set.complement : set
  }

  private mutating func member() throws(GrammarError) -> ScalarSet {
    guard position < scalars.count else { throw fault("an unclosed '['") }
    let scalar = scalars[position]
    position += 1
    return scalar == "\\" ? try escape() : ScalarSet([scalar.value...scalar.value])
  }

  private mutating func escape() throws(GrammarError) -> ScalarSet {
    guard position < scalars.count else { throw fault("a '\\' at its end") }
    let scalar = scalars[position]
    position += 1
    func one(_ value: UInt32) -> ScalarSet { ScalarSet([value...value]) }
    switch scalar {
    case "d": return .digits
    case "D": return ScalarSet.digits.complement
    case "w": return .words
    case "W": return ScalarSet.words.complement
    case "s": return .spaces
    case "S": return ScalarSet.spaces.complement
    case "n": return one(0x0A)
    case "r": return one(0x0D)
    case "t": return one(0x09)
    case "f": return one(0x0C)
    case "v": return one(0x0B)
    case "x": return one(try hex(2))
    case "u": return one(try hex(4))
    case "0"..."9", "a"..."z", "A"..."Z": throw fault("'\\\(scalar)'")
    default: return one(scalar.value)
    }
  }

  private mutating func hex(_ digits: Int) throws(GrammarError) -> UInt32 {
    let text = String(String.UnicodeScalarView(scalars[position..<min(position + digits, scalars.count)]))
    guard text.utf8.count == digits, let value = UInt32(text, radix: 16), Unicode.Scalar(value) != nil else {
      throw fault("a bad hexadecimal escape")
    }
    position += digits
    return value
  }
}

extension ScalarSet {
  /// The only member.
  fileprivate var single: UInt32? {
    guard ranges.count == 1, ranges[0].count == 1 else { return nil }
    return ranges[0].lowerBound
  }
}
