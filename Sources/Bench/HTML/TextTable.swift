/// A Markdown table that lines up on a terminal too: the first column to the left, the others to the right.
struct TextTable {
  let head: [String]
  let rows: [[String]]

  var text: String {
    let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
    let rule = widths.enumerated().map { column, width in
      column == 0 ? String(repeating: "-", count: width + 2) : String(repeating: "-", count: width + 1) + ":"
    }
    return Self.line(head, widths) + "|\(rule.joined(separator: "|"))|\n" + rows.map { Self.line($0, widths) }.joined()
  }

  private static func line(_ cells: [String], _ widths: [Int]) -> String {
    let padded = zip(cells, widths).enumerated().map { column, cell in
      let space = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return column == 0 ? cell.0 + space : space + cell.0
    }
    return "| \(padded.joined(separator: " | ")) |\n"
  }
}
