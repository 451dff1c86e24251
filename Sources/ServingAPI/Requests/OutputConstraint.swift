/// What an output must be: `response_format`, vLLM's `structured_outputs`, or its older `guided_…` fields.
package struct OutputConstraint: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// Any JSON object.
    case jsonObject
    /// JSON that a schema allows, as the schema's JSON text.
    case jsonSchema(String)
    /// Text that the expression matches from end to end.
    case regex(String)
    /// One of these texts.
    case choice([String])
    /// Text that rules in GBNF, with a `root`, make.
    case grammar(String)
  }

  package var kind: Kind
  /// Where JSON allows white space, a little of it may come.
  package var allowsWhitespace: Bool
  /// The request's field, for errors about what is in it.
  package var field: String

  package init(_ kind: Kind, allowsWhitespace: Bool = true, field: String) {
    self.kind = kind
    self.allowsWhitespace = allowsWhitespace
    self.field = field
  }

  /// - Returns: nil if the request asks for none.
  /// - Throws: A 400 that names the field, also for a second constraint.
  init?(_ reader: inout FieldReader) throws(APIError) {
    var found: [OutputConstraint] = []
    if let format = try Self.responseFormat(&reader) { found.append(format) }
    if let fields = reader.dictionary("structured_outputs") {
      var inner = FieldReader(fields, at: "body.structured_outputs")
      found += try Self.structured(&inner, prefix: "", name: "structured_outputs")
      try inner.finish()
    }
    found += try Self.structured(&reader, prefix: "guided_", name: "")
    guard let first = found.first else { return nil }
    if found.count > 1 {
      throw .badValue(
        "You can only use one kind of constraints for structured outputs, got \(found.map(\.field)).",
        param: found[1].field)
    }
    self = first
  }

  private static func responseFormat(_ reader: inout FieldReader) throws(APIError) -> OutputConstraint? {
    guard let fields = reader.dictionary("response_format") else { return nil }
    switch fields["type"] {
    case "text": return nil
    case "json_object": return OutputConstraint(.jsonObject, field: "response_format")
    case "json_schema":
      guard case .object(let inner)? = fields["json_schema"], let schema = inner["schema"] ?? inner["json_schema"],
        schema != .null
      else {
        throw .badValue(
          "When response_format type is 'json_schema', the 'json_schema' field must be provided, with a schema.",
          param: "response_format")
      }
      return OutputConstraint(.jsonSchema(text(schema)), field: "response_format")
    default: throw UnsupportedFields.unsupported("response_format")
    }
  }

  /// - Parameters:
  ///   - prefix: of the keys.
  ///   - name: of the object that they are in; empty: the body.
  private static func structured(
    _ reader: inout FieldReader, prefix: String, name: String
  ) throws(APIError) -> [OutputConstraint] {
    let isObject = !name.isEmpty
    for key in ["structural_tag", "whitespace_pattern"]
    where reader.present(prefix + key) != nil {
      throw UnsupportedFields.unsupported(isObject ? "\(name).\(key)" : prefix + key)
    }
    let isCompact = isObject && reader.bool("disable_any_whitespace") ?? false
    var found: [OutputConstraint] = []
    func add(_ kind: Kind, _ key: String) {
      found.append(
        OutputConstraint(kind, allowsWhitespace: !isCompact, field: isObject ? "\(name).\(key)" : prefix + key))
    }
    if let schema = reader.present(prefix + "json") { add(.jsonSchema(schema.stringValue ?? text(schema)), "json") }
    if let pattern = reader.string(prefix + "regex") { add(.regex(pattern), "regex") }
    if let list = reader.list(prefix + "choice"), let texts = reader.strings(list, prefix + "choice") {
      add(.choice(texts), "choice")
    }
    if let rules = reader.string(prefix + "grammar") { add(.grammar(rules), "grammar") }
    if reader.bool(prefix + "json_object") == true { add(.jsonObject, "json_object") }
    if isObject, found.isEmpty, !reader.fields.members.isEmpty {
      throw .badValue("structured_outputs names no constraint.", param: name)
    }
    return found
  }

  private static func text(_ value: BodyValue) -> String { String(decoding: value.encoded, as: UTF8.self) }
}
