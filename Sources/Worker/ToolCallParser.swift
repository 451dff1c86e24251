/// `--tool-call-parser`: how the model's calls of tools are found in its output.
package enum ToolCallParser: Sendable, Equatable {
  /// As the model's chat template writes earlier calls.
  case ofTemplate
  case format(ToolCallFormat)

  /// - Throws: Where the template shows no format that we read.
  func format(template: String?) throws(WorkerError) -> ToolCallFormat {
    if case .format(let format) = self { return format }
    guard let format = template.flatMap(ToolCallFormat.init(template:)) else { throw .noToolCallFormat }
    return format
  }
}

extension ToolCallFormat {
  /// What a chat template writes calls in; nil if it writes none, or others.
  package init?(template: String) {
    // What is XML within is no Hermes: Qwen 3 Coder, GLM.
    if template.contains("<tool_call>"), !template.contains("<function="), !template.contains("<arg_key>") {
      self = .hermes
    } else if template.contains("[TOOL_CALLS]") {
      self = .mistral
    } else if template.contains(#""parameters": dictionary"#) {
      self = .llama3JSON
    } else {
      return nil
    }
  }
}
