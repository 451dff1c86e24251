/// A table of texts; the first column stands to the left, numbers to the right.
struct DataTable {
  let head: [String]
  var rows: [Row] = []

  struct Row {
    var cells: [String]
    /// The row to look at.
    var isBest = false
  }

  var markup: Markup {
    let titles: [Markup] = head.map { "<th>\($0)</th>" }
    let lines: [Markup] = rows.map { row in
      let cells: [Markup] = row.cells.map { "<td>\($0)</td>" }
      return "<tr\(row.isBest ? " class=\"best\"" : "" as Markup)>\(cells)</tr>\n"
    }
    return "<div class=\"scroll\"><table><tr>\(titles)</tr>\n\(lines)</table></div>\n"
  }
}

/// Names and what they are, under each other.
struct FactTable {
  var facts: [(name: String, value: String)]

  /// Facts that are empty are left out.
  var markup: Markup {
    let lines: [Markup] = facts.filter { !$0.value.isEmpty }.map {
      "<tr><th>\($0.name)</th><td>\($0.value)</td></tr>\n"
    }
    return "<table class=\"facts\">\(lines)</table>\n"
  }
}
