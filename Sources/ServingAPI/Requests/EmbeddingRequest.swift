/// The body of `POST /v1/embeddings`.
package struct EmbeddingRequest: Sendable, Equatable {
  package enum Encoding: String, Sendable {
    case float
    /// Of the numbers as 32-bit floats, the lowest byte first.
    case base64
  }

  /// At least one; each gets a vector.
  package var inputs: [CompletionRequest.Prompt]
  package var encoding: Encoding
  /// The vectors have length 1; false: they are the hidden states as they are (`use_activation`).
  package var normalizes: Bool
  package var options: RequestOptions

  package init(_ fields: BodyValue.Fields) throws(APIError) {
    var reader = FieldReader(fields)
    options = try RequestOptions(&reader, addsSpecialTokens: true)
    normalizes = reader.bool("use_activation") ?? true
    encoding = Encoding(rawValue: Self.choice(of: ["float", "base64"], "encoding_format", &reader))!
    _ = Self.choice(of: ["float32"], "embed_dtype", &reader)
    _ = Self.choice(of: ["native", "little"], "endianness", &reader)
    _ = Self.choice(of: ["do_not_pad"], "padding", &reader)
    let dimensions = reader.int("dimensions")
    if reader.present("input") == nil, reader.present("messages") == nil {
      reader.note(.missing, "input", .object(fields))
    }
    let inputs = CompletionRequest.Prompt.list(&reader, "input")
    try reader.finish()
    try UnsupportedFields.refuse(UnsupportedFields.ofEmbeddings, in: fields)
    if let dimensions {
      throw .badValue(
        "This model does not support Matryoshka embeddings; dimensions must be unset.", param: "dimensions",
        value: "\(dimensions)")
    }
    guard let inputs, !inputs.isEmpty, !inputs.contains(where: \.isEmpty) else {
      throw .badValue("input must not be empty.", param: "input")
    }
    guard inputs.count <= CompletionRequest.maximumPrompts else {
      throw .badValue(
        "input has \(inputs.count) entries, at most \(CompletionRequest.maximumPrompts) are served.", param: "input")
    }
    self.inputs = inputs
  }

  /// - Returns: One of `values`; the first if none is given, or another one, which is noted.
  private static func choice(of values: [String], _ key: String, _ reader: inout FieldReader) -> String {
    guard let value = reader.string(key) else { return values[0] }
    if values.contains(value) { return value }
    reader.refuse(key, "Input should be \(values.map { "'\($0)'" }.joined(separator: " or "))")
    return values[0]
  }
}
