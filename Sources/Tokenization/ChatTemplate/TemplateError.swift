/// A place in a template's text. Lines count from 1, columns count UTF-8 bytes from 1.
package struct TemplatePosition: Sendable, Hashable, CustomStringConvertible {
  package let line: Int
  package let column: Int

  package var description: String { "line \(line), column \(column)" }
}

/// Why a chat template could not be read or rendered.
package enum TemplateError: Error, Equatable, Sendable {
  /// The text is not a template: what was found there, and what was expected.
  case syntax(String, at: TemplatePosition)
  /// The text is Jinja, but not of the subset that we read; the construct is named.
  case unsupported(String, at: TemplatePosition)
  /// An operation that Python would refuse as well, such as adding a number to a text.
  case evaluation(String, at: TemplatePosition)
  /// The template asked for more work, depth or text than a chat template may.
  case limit(String, at: TemplatePosition)
  /// The template itself called `raise_exception`: it does not accept this conversation.
  case raised(String)

  /// A fixed word for metrics.
  package var label: String {
    switch self {
    case .syntax: "template_syntax"
    case .unsupported: "template_unsupported"
    case .evaluation: "template_evaluation"
    case .limit: "template_limit"
    case .raised: "template_raised"
    }
  }
}

extension TemplateError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .syntax(let what, let position):
      "The chat template has a syntax error at \(position): \(what). Give a corrected template."
    case .unsupported(let what, let position):
      "The chat template uses \(what) at \(position), which xpyd does not know. Give a template without it."
    case .evaluation(let what, let position):
      "The chat template fails at \(position): \(what). Check that the messages have the fields that it reads."
    case .limit(let what, let position):
      "The chat template was stopped at \(position): \(what). Send a shorter conversation, or give another template."
    case .raised(let message):
      "The chat template refuses this conversation: \(message)"
    }
  }
}

/// What a filter, method or operator reports; the evaluator adds the place and makes it a `TemplateError`.
enum TemplateFault: Error {
  case evaluation(String)
  case limit(String)
  case raised(String)

  func located(at position: TemplatePosition) -> TemplateError {
    switch self {
    case .evaluation(let what): .evaluation(what, at: position)
    case .limit(let what): .limit(what, at: position)
    case .raised(let message): .raised(message)
    }
  }
}
