import ServingAPI

/// One schema's keywords.
struct SchemaFields {
  private let fields: BodyValue.Fields
  let path: String
  /// Keywords of other types than the one that is read, where there are several.
  private var passedOver: Set<String> = []

  init(_ fields: BodyValue.Fields, path: String) {
    self.fields = fields
    self.path = path
  }

  /// They only describe, or are read elsewhere.
  private static let annotations: Set<String> = [
    "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions",
    "deprecated", "readOnly", "writeOnly", "strict", "nullable",
  ]

  subscript(keyword: String) -> BodyValue? { fields[keyword] }

  func hasAny(of keywords: [String]) -> Bool { keywords.contains { fields[$0] != nil } }

  /// - Throws: `unsupportedKeyword` for the first that is neither in `known` nor only describes.
  func allow(_ known: Set<String>) throws(GrammarError) {
    for (keyword, value) in fields.members
    where !known.contains(keyword) && !Self.annotations.contains(keyword) && !passedOver.contains(keyword) {
      // They ask for nothing.
      if keyword == "uniqueItems", value == false { continue }
      throw .unsupportedKeyword(keyword, path: path)
    }
  }

  /// The same schema, read for one of its several types.
  func narrowed(to type: String) -> SchemaFields {
    let ofTypes: [String: Set<String>] = [
      "object": ["properties", "required", "additionalProperties"],
      "array": ["items", "prefixItems", "minItems", "maxItems"],
      "string": ["minLength", "maxLength", "pattern", "format"],
      "number": ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
    ]
    var narrowed = self
    for (other, keywords) in ofTypes where other != (type == "integer" ? "number" : type) {
      narrowed.passedOver.formUnion(keywords)
    }
    return narrowed
  }

  /// A count from 0; nil if absent.
  func count(_ keyword: String) throws(GrammarError) -> Int? {
    guard let value = fields[keyword] else { return nil }
    guard case .integer(let count) = value, (0...Int64(GrammarProgram.maximumNodes)).contains(count) else {
      throw .invalid("\(keyword) at \(path) must be an integer from 0 to \(GrammarProgram.maximumNodes).")
    }
    return Int(count)
  }
}
