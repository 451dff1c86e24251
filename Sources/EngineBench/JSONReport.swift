/// All events as one JSON object, for programs.
struct JSONReport: Sendable {
  private var subject: [String] = []
  private var peaks: [String] = []
  private var rows: [String] = []

  mutating func add(_ event: EngineMeasurement.Event) {
    switch event {
    case .model(let model):
      subject = [
        "\"model\": \(quoted(model.modelPath))", "\"model_bytes\": \(model.modelBytes)",
        "\"processor\": \(quoted(model.processor))", "\"instruction_set\": \(quoted(model.instructionSet))",
        "\"activations\": \(quoted(model.activations.rawValue))",
      ]
    case .peaks(let peaks):
      self.peaks.append(
        "{\"threads\": \(peaks.threads), \"gflops\": \(fixed(peaks.operations / 1e9, 2)), "
          + "\"gigabytes_per_second\": \(fixed(peaks.bytes / 1e9, 3))}")
    case .row(let row):
      let rate = row.tokensPerSecond
      rows.append(
        "{\"test\": \(quoted("\(row.test)")), \"threads\": \(row.threads), "
          + "\"tokens_per_second\": \(fixed(rate.median, 2)), \"min\": \(fixed(rate.min, 2)), "
          + "\"max\": \(fixed(rate.max, 2)), \"gflops\": \(fixed(row.operations / 1e9, 2)), "
          + "\"gflops_share\": \(fixed(row.operationShare, 4)), "
          + "\"gigabytes_per_second\": \(fixed(row.bytes / 1e9, 3)), "
          + "\"gigabytes_share\": \(fixed(row.byteShare, 4))}")
    }
  }

  func text() -> String {
    func list(_ name: String, _ items: [String]) -> String {
      "\"\(name)\": [\n    \(items.joined(separator: ",\n    "))\n  ]"
    }
    let members = subject + [list("peaks", peaks), list("rows", rows)]
    return "{\n  \(members.joined(separator: ",\n  "))\n}\n"
  }

  /// A JSON string.
  private func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
