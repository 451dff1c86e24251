// Words of Mistral's Tekken: runs of letters and marks end where lower case turns to upper case.
extension WordScanner {
  func endOfTekkenWord(from start: Int) -> Int {
    if let end = endOfCasedWord(from: start) { return end }
    let (kind, end) = reader.scalar(at: start)
    if kind == .number { return end }
    let body = reader.text[start] == UInt8(ascii: " ") ? end : start
    let endOfOthers = reader.endOfRun(of: .other, from: body)
    if endOfOthers > body { return endOfNewlinesAndSlashes(from: endOfOthers) }
    return endOfLastNewline(from: start) ?? endOfWhitespace(from: start, leavingOneBeforeDigit: true)
  }

  /// `[^\r\n\p{L}\p{N}]?[U]*[L]+|[^\r\n\p{L}\p{N}]?[U]+[L]*`, U and L of `ScalarCase`; each first with what may stand
  /// before the letters.
  private func endOfCasedWord(from start: Int) -> Int? {
    let (kind, next) = reader.scalar(at: start)
    let starts = [.space, .other].contains(kind) ? [next, start] : [start]
    return starts.lazy.compactMap(endOfLowerCase).first ?? starts.lazy.compactMap(endOfUpperCase).first
  }

  /// `[U]*[L]+`: where no L follows the run of U, its last one that is L too is the L.
  private func endOfLowerCase(from start: Int) -> Int? {
    var (end, lastLower) = (start, Int?.none)
    while let (letterCase, next) = reader.letterCase(at: end), letterCase.contains(.upper) {
      end = next
      if letterCase.contains(.lower) { lastLower = next }
    }
    while let (letterCase, next) = reader.letterCase(at: end), letterCase.contains(.lower) {
      end = next
      lastLower = next
    }
    return lastLower
  }

  /// `[U]+[L]*` where `[U]*[L]+` does not match, so that no L follows.
  private func endOfUpperCase(from start: Int) -> Int? {
    var end = start
    while let (letterCase, next) = reader.letterCase(at: end), letterCase.contains(.upper) { end = next }
    return end > start ? end : nil
  }

  private func endOfNewlinesAndSlashes(from start: Int) -> Int {
    reader.text[start...].firstIndex { ![0x0A, 0x0D, UInt8(ascii: "/")].contains($0) } ?? reader.text.count
  }
}
