/// What one check of `xpyd doctor` found.
package struct Finding: Equatable, Sendable {
  package enum Verdict: String, Sendable {
    case ok
    case warning
    case failure
    /// It could not be looked at, or has no meaning here.
    case skipped
  }

  /// The item of the example's troubleshooting list, in its words where it has one.
  package let check: String
  package let verdict: Verdict
  /// What was seen, with its values.
  package let evidence: String
  /// What to do; nil where nothing is wrong.
  package let remedy: String?

  package init(_ check: String, _ verdict: Verdict, _ evidence: String, remedy: String? = nil) {
    self.check = check
    self.verdict = verdict
    self.evidence = evidence
    self.remedy = remedy
  }
}

extension [Finding] {
  /// One line each, and a second with the remedy.
  package var report: String {
    let width = map(\.check.count).max() ?? 0
    return map { finding in
      let name = finding.check + String(repeating: " ", count: width - finding.check.count)
      let mark =
        switch finding.verdict {
        case .ok: "ok     "
        case .warning: "warning"
        case .failure: "FAILURE"
        case .skipped: "skipped"
        }
      let first = "\(mark)  \(name)  \(finding.evidence)"
      return finding.remedy.map { first + "\n" + String(repeating: " ", count: 11 + width) + "→ \($0)" } ?? first
    }.joined(separator: "\n")
  }
}
