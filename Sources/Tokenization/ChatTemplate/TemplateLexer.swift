/// One token of a template: literal text between tags, or a piece of a tag.
struct TemplateToken: Equatable {
  enum Kind: Equatable {
    case text(String)
    case blockBegin, blockEnd
    case variableBegin, variableEnd
    case name(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case symbol(String)
    case end
  }

  let kind: Kind
  let position: TemplatePosition
}

/// Splits a template into text and tags, and applies Jinja's whitespace rules as it goes:
///
/// - one newline at the end of the template is dropped, and `\r\n` and `\r` become `\n`;
/// - `trim_blocks`: a newline right after `%}` or `#}` is dropped (not after `+%}`);
/// - `lstrip_blocks`: blanks between the start of a line and `{%` or `{#` are dropped (not before `{%+`);
/// - `{%-`, `{{-`, `{#-` drop all whitespace before, `-%}`, `-}}`, `-#}` all whitespace after.
///
/// What stands inside a tag is read in `TemplateLexer+Expressions.swift`. Source: jinja2's `lexer.py` (3.1).
struct TemplateLexer {
  let source: [UInt8]
  var offset = 0
  private var result: [TemplateToken] = []
  /// Whether the text that starts at `offset` starts a line of the source.
  private var startsLine = true
  private var line = 1
  private var lineStart = 0
  private var lineScanned = 0

  init(source: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(source.utf8.count)
    var previous: UInt8 = 0
    for byte in source.utf8 {
      if byte == UInt8(ascii: "\n"), previous == UInt8(ascii: "\r") {
        // The \r before it already became the newline.
      } else {
        bytes.append(byte == UInt8(ascii: "\r") ? UInt8(ascii: "\n") : byte)
      }
      previous = byte
    }
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    self.source = bytes
  }

  mutating func tokens() throws(TemplateError) -> [TemplateToken] {
    while offset < source.count {
      guard let tag = nextTag() else {
        emitText(offset..<source.count)
        offset = source.count
        break
      }
      emitText(textBefore(tag))
      offset = tag
      try readTag()
    }
    emit(.end, at: position(at: source.count))
    return result
  }

  // MARK: - Tags

  private mutating func readTag() throws(TemplateError) {
    let start = offset
    let kind = source[start + 1]
    offset += 2
    if offset < source.count, source[offset] == UInt8(ascii: "-") || source[offset] == UInt8(ascii: "+") {
      offset += 1
    }
    let place = position(at: start)
    switch kind {
    case UInt8(ascii: "#"): try skipComment(at: place)
    case UInt8(ascii: "{"):
      emit(.variableBegin, at: place)
      try readExpressionTokens(until: "}}", at: place)
      emit(.variableEnd, at: place)
    default:
      if try readRawBlock(at: place) { return }
      emit(.blockBegin, at: place)
      try readExpressionTokens(until: "%}", at: place)
      emit(.blockEnd, at: place)
    }
  }

  private mutating func skipComment(at place: TemplatePosition) throws(TemplateError) {
    let bodyStart = offset
    guard let end = find("#}", from: offset) else {
      throw .syntax("the comment is never closed with #}", at: place)
    }
    let sign = end > bodyStart ? source[end - 1] : 0
    offset = end + 2
    closeTag(sign: sign, trims: true)
  }

  /// Called with `offset` behind an end delimiter: drops what the delimiter's sign says, and notes whether a line starts.
  mutating func closeTag(sign: UInt8, trims: Bool) {
    let end = offset
    if sign == UInt8(ascii: "-") {
      offset = endOfWhitespace(from: offset)
    } else if trims, sign != UInt8(ascii: "+"), offset < source.count, source[offset] == UInt8(ascii: "\n") {
      offset += 1
    }
    startsLine = offset > end && source[offset - 1] == UInt8(ascii: "\n")
  }

  /// Reads `{% raw %}…{% endraw %}` if `offset` stands at its `raw`.
  private mutating func readRawBlock(at place: TemplatePosition) throws(TemplateError) -> Bool {
    guard let bodyStart = endOfKeywordTag("raw", from: offset, trims: false) else { return false }
    var candidate = bodyStart
    while let tag = find("{%", from: candidate) {
      let signed = tag + 2 < source.count && [UInt8(ascii: "-"), UInt8(ascii: "+")].contains(source[tag + 2])
      if let end = endOfKeywordTag("endraw", from: tag + (signed ? 3 : 2), trims: true) {
        offset = bodyStart
        startsLine = source[bodyStart - 1] == UInt8(ascii: "\n")
        emitText(textBefore(tag))
        offset = end
        startsLine = source[end - 1] == UInt8(ascii: "\n")
        return true
      }
      candidate = tag + 2
    }
    throw .syntax("the raw block is never closed with {% endraw %}", at: place)
  }

  /// The offset behind `KEYWORD %}`, or nil if something else stands at `start`.
  private func endOfKeywordTag(_ keyword: String, from start: Int, trims: Bool) -> Int? {
    var place = endOfWhitespace(from: start)
    guard hasPrefix(keyword, at: place) else { return nil }
    place = endOfWhitespace(from: place + keyword.utf8.count)
    if hasPrefix("-%}", at: place) { return endOfWhitespace(from: place + 3) }
    if trims, hasPrefix("+%}", at: place) { return place + 3 }
    guard hasPrefix("%}", at: place) else { return nil }
    let dropsNewline = trims && hasPrefix("\n", at: place + 2)
    return place + (dropsNewline ? 3 : 2)
  }

  // MARK: - Text

  private func nextTag() -> Int? {
    var place = offset
    while place + 1 < source.count {
      if source[place] == UInt8(ascii: "{"),
        [UInt8(ascii: "{"), UInt8(ascii: "%"), UInt8(ascii: "#")].contains(source[place + 1])
      {
        return place
      }
      place += 1
    }
    return nil
  }

  /// The text from `offset` to the tag there, less the whitespace that the tag takes away.
  private func textBefore(_ tag: Int) -> Range<Int> {
    let sign = tag + 2 < source.count ? source[tag + 2] : 0
    if sign == UInt8(ascii: "-") { return offset..<startOfWhitespace(before: tag, from: offset) }
    if sign == UInt8(ascii: "+") || source[tag + 1] == UInt8(ascii: "{") { return offset..<tag }
    let newline = source[offset..<tag].lastIndex(of: UInt8(ascii: "\n"))
    guard newline != nil || startsLine else { return offset..<tag }
    let lineStart = newline.map { $0 + 1 } ?? offset
    return endOfWhitespace(from: lineStart, limit: tag) == tag ? offset..<lineStart : offset..<tag
  }

  private mutating func emitText(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    emit(.text(String(decoding: source[range], as: UTF8.self)), at: position(at: range.lowerBound))
  }

  mutating func emit(_ kind: TemplateToken.Kind, at position: TemplatePosition) {
    result.append(TemplateToken(kind: kind, position: position))
  }

  // MARK: - Places

  /// - Precondition: `place` is not on a line before that of an earlier call.
  mutating func position(at place: Int) -> TemplatePosition {
    while lineScanned < place {
      if source[lineScanned] == UInt8(ascii: "\n") {
        line += 1
        lineStart = lineScanned + 1
      }
      lineScanned += 1
    }
    // A place before the scan's end lies on the same line, as no newline was passed since lineStart.
    return TemplatePosition(line: line, column: place - lineStart + 1)
  }

  func hasPrefix(_ text: String, at place: Int) -> Bool {
    guard place + text.utf8.count <= source.count else { return false }
    return source[place...].starts(with: text.utf8)
  }

  func find(_ text: String, from start: Int) -> Int? {
    var place = start
    while place + text.utf8.count <= source.count {
      if hasPrefix(text, at: place) { return place }
      place += 1
    }
    return nil
  }

  func endOfWhitespace(from start: Int, limit: Int? = nil) -> Int {
    let limit = limit ?? source.count
    var place = start
    while place < limit, let length = PythonText.whitespaceLength(source[place..<limit]) { place += length }
    return place
  }

  private func startOfWhitespace(before end: Int, from start: Int) -> Int {
    let text = String(decoding: source[start..<end], as: UTF8.self)
    return start + PythonText.strip(text, leading: false).utf8.count
  }
}
