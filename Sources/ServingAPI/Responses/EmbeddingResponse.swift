import Foundation

/// The answer of `/v1/embeddings`; keys and their order are vLLM's.
package enum EmbeddingResponse {
  package static func body(
    _ head: ResponseHead, vectors: [[Float]], as encoding: EmbeddingRequest.Encoding, usage: Usage
  ) -> BodyValue {
    var fields = head.fields(object: "list")
    fields.append(
      "data",
      .array(
        vectors.enumerated().map { index, vector in
          ["index": BodyValue(index), "object": "embedding", "embedding": encoded(vector, as: encoding)]
        }))
    fields.append("usage", usage.json)
    return .object(fields)
  }

  private static func encoded(_ vector: [Float], as encoding: EmbeddingRequest.Encoding) -> BodyValue {
    switch encoding {
    case .float: .array(vector.map { .number(Double($0)) })
    case .base64:
      .string(vector.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) }.base64EncodedString())
    }
  }
}
