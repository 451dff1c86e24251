import Testing

/// Records the first element whose bits differ: a diff of two long arrays takes the library minutes.
func expectSameBits(
  _ found: some Collection<Float>, _ expected: some Collection<Float>, _ what: @autoclosure () -> String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.count == expected.count else {
    Issue.record("\(found.count) numbers, not \(expected.count). \(what())", sourceLocation: sourceLocation)
    return
  }
  for (index, (one, other)) in zip(found, expected).enumerated() where one.bitPattern != other.bitPattern {
    Issue.record("\(one) in place of \(other) at \(index). \(what())", sourceLocation: sourceLocation)
    return
  }
}
