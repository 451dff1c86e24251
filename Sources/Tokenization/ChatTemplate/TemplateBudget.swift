/// What one rendering may use. Templates come with model files: a hostile one ends in an error, soon.
struct TemplateBudget {
  /// Steps of evaluation; 32 bytes of text or one element of a list count as a step. About a second.
  static let maximumWork = 10_000_000
  /// What one turn of a loop or one call of a macro costs, besides its body.
  static let stepsPerScope = 8
  /// Nested evaluations, those of macros within macros included. Fits a stack of 512 KiB.
  static let maximumDepth = 400
  /// Bytes in the output, and in every text on the way.
  static let maximumTextBytes = 16 << 20
  /// Lists in lists in lists: so that they can be compared, printed and released by recursion.
  static let maximumValueDepth = 100
  /// Elements of a `range`, as in Jinja's sandbox.
  static let maximumRange = 100_000

  private var work = 0
  private var depth = 0

  mutating func spend(_ steps: Int = 1) throws(TemplateFault) {
    let (sum, overflow) = work.addingReportingOverflow(steps)
    guard !overflow, sum <= Self.maximumWork else {
      throw .limit("it takes more than \(Self.maximumWork) steps")
    }
    work = sum
  }

  /// Pays for a text before it is made, or the reading of one.
  mutating func spend(textBytes: Int) throws(TemplateFault) {
    guard textBytes <= Self.maximumTextBytes else {
      throw .limit("it makes a text of more than \(Self.maximumTextBytes) bytes")
    }
    try spend(1 + textBytes / 32)
  }

  mutating func descend() throws(TemplateFault) {
    guard depth < Self.maximumDepth else { throw .limit("it nests or recurses deeper than \(Self.maximumDepth)") }
    depth += 1
  }

  mutating func ascend() { depth -= 1 }
}
