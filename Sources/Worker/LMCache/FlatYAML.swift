/// A YAML file that is one map of names to scalars or short lists: all that LMCache's settings are.
///
/// Not YAML in general: a block under a key, an anchor or a text over several lines is an error that names its line.
enum FlatYAML {
  struct Problem: Error, Equatable {
    var line: Int
    var reason: String
  }

  /// - Returns: Names and values in the file's order; a list's values are separated by commas, null is "".
  static func parse(_ text: String) throws(Problem) -> [(key: String, value: String)] {
    var settings: [(key: String, value: String)] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let content = withoutComment(line).trimmed
      if content.isEmpty || content == "---" || content == "{}" { continue }
      guard line.first?.isWhitespace == false, !content.hasPrefix("-"), let colon = content.firstIndex(of: ":") else {
        throw Problem(line: index + 1, reason: "it is not 'name: value'")
      }
      let value = content[content.index(after: colon)...]
      guard value.isEmpty || value.first?.isWhitespace == true else {
        throw Problem(line: index + 1, reason: "a space is missing behind the colon")
      }
      settings.append((unquoted(content[..<colon].trimmed), try scalar(value.trimmed, index + 1)))
    }
    return settings
  }

  private static func scalar(_ text: Substring, _ line: Int) throws(Problem) -> String {
    if let first = text.first, "&*|>{!".contains(first) {
      throw Problem(line: line, reason: "'\(text)' is no plain value")
    }
    if text.hasPrefix("["), text.hasSuffix("]") {
      return text.dropFirst().dropLast().split(separator: ",").map { unquoted($0.trimmed) }.joined(separator: ",")
    }
    return ["null", "none", "~"].contains(text.lowercased()) ? "" : unquoted(text)
  }

  /// A `#` at the start or after a blank begins one, unless it stands in quotes.
  private static func withoutComment(_ line: Substring) -> Substring {
    var quote: Character?
    var before: Character = " "
    for index in line.indices {
      let letter = line[index]
      if let open = quote {
        if letter == open { quote = nil }
      } else if letter == "\"" || letter == "'" {
        quote = letter
      } else if letter == "#", before.isWhitespace {
        return line[..<index]
      }
      before = letter
    }
    return line
  }

  private static func unquoted(_ text: Substring) -> String {
    guard text.count >= 2, let first = text.first, first == "\"" || first == "'", text.last == first else {
      return String(text)
    }
    return String(text.dropFirst().dropLast())
  }
}

extension Substring {
  fileprivate var trimmed: Substring {
    let start = drop { $0.isWhitespace }
    return start.lastIndex { !$0.isWhitespace }.map { start[...$0] } ?? ""
  }
}
