/// Why a grammar cannot be held an output to.
package enum GrammarError: Error, Equatable, CustomStringConvertible {
  /// A schema's keyword that is not read: to pass it over would allow what the schema does not.
  case unsupportedKeyword(String, path: String)
  /// The text is no schema, no regular expression or no grammar.
  case invalid(String)
  case tooLarge(limit: Int)
  /// No output at all would do.
  case matchesNothing

  package var description: String {
    switch self {
    case .unsupportedKeyword(let keyword, let path):
      "The schema keyword '\(keyword)' at \(path) is not supported here. Leave it out."
    case .invalid(let reason): reason
    case .tooLarge(let limit):
      "The grammar is too large: more than \(limit) states. Make repetitions, enumerations or the schema smaller."
    case .matchesNothing: "No output matches this grammar."
    }
  }
}
