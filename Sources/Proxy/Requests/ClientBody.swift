import NIOCore
import ServingAPI

/// A client's JSON body, scanned once. The bytes go on as they came but for the fields that a leg must change.
package struct ClientBody: Sendable {
  let bytes: ByteBuffer
  private let object: JSONObject
  /// Made in every copy of the body that goes out.
  private var standingEdits: [JSONEdit] = []
  /// The field that limits the output's tokens.
  let limit: String
  /// Tokens are asked for; else the prompt is all that is computed.
  let generates: Bool

  /// - Throws: If it is not exactly one JSON object.
  package init(_ bytes: ByteBuffer, limit: String = "max_tokens", generates: Bool = true) throws {
    self.bytes = bytes
    self.limit = limit
    self.generates = generates
    object = try bytes.withUnsafeReadableBytes { try JSONObject(scanning: $0) }
  }

  /// This body with `edits` in every copy of it that goes out.
  func asking(_ edits: [JSONEdit]) -> ClientBody {
    var body = self
    body.standingEdits += edits
    return body
  }

  func edited(_ edits: [JSONEdit]) -> ByteBuffer {
    var out = ByteBufferAllocator().buffer(capacity: bytes.readableBytes + 256)
    bytes.withUnsafeReadableBytes { source in
      object.edited(source, edits + standingEdits) { out.writeBytes($0) }
    }
    return out
  }

  /// Not a client's to send: an engine that believes `kv_transfer_params` can be killed with them, and one that believes
  /// `bootstrap_host` connects to wherever the client likes.
  static let handoffFields = ["kv_transfer_params"] + SGLangHandoff.fields

  /// The body as the client wrote it, but for the fields of a handoff.
  package var plain: ByteBuffer {
    let named = Self.handoffFields.filter { object.value(of: $0) != nil }
    return named.isEmpty && standingEdits.isEmpty ? bytes : edited(named.map { .remove($0) })
  }

  /// Hands the JSON text of a top-level field to `read`; nil if there is none.
  func withValue<Result>(of name: String, _ read: (UnsafeRawBufferPointer) -> Result) -> Result? {
    object.value(of: name).map { range in
      bytes.withUnsafeReadableBytes { read(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
  }

  var isStreamed: Bool { text(of: "stream") == "true" }

  /// - Parameter handoff: nil if there is no prefill leg.
  package func route(under handoff: (any Handoff)?) -> Route {
    guard let handoff else { return .decoderAlone }
    guard generates else { return .prefillerAlone }
    guard handoff.decodersCanPrefill else { return .twoLegs }
    if case .pushed = handoff.timing { return Continuation.canFollowFirstToken(of: self) ? .twoLegs : .decoderAlone }
    if asksForSeveralSequences { return .decoderAlone }
    let limits = [limit, "max_completion_tokens"].compactMap(text(of:)).filter { $0 != "null" }
    if !limits.isEmpty, limits.allSatisfy({ $0 == "1" || $0 == "0" }) { return .prefillerAlone }
    return scoresPrompt ? .decoderAlone : .twoLegs
  }

  /// The prompt's own log-probabilities take its whole computation where the answer is made: KV does not tell them.
  private var scoresPrompt: Bool {
    if let count = text(of: "prompt_logprobs"), count != "null" { return true }
    return asks(for: "echo") && ![nil, "null", "false"].contains(text(of: "logprobs"))
  }

  /// Engines hand over the KV of one sequence only: with two prompts vLLM decodes the second on the first one's KV.
  var asksForSeveralSequences: Bool {
    for name in ["n", "best_of"] {
      if let count = text(of: name), count != "1", count != "null" { return true }
    }
    if text(of: "use_beam_search") == "true" { return true }
    guard let prompt = object.value(of: "prompt"), bytes.byte(at: prompt.lowerBound) == UInt8(ascii: "[") else {
      return false
    }
    return bytes.withUnsafeReadableBytes { source in
      let array = try? JSONArray(scanning: UnsafeRawBufferPointer(rebasing: source[prompt]), limit: 2)
      guard let array, array.elements.count == 2 else { return false }
      let first = source[prompt.lowerBound + array.elements[0].lowerBound]
      return first == UInt8(ascii: "\"") || first == UInt8(ascii: "[")
    }
  }

  /// A short value as it stands in the text; long ones are nobody's flag or count.
  func text(of name: String) -> String? { object.value(of: name).map { text(at: $0) } }

  /// The same of a member of the object that `name` is; nil if it is none.
  func text(of member: String, in name: String) -> String? {
    guard let outer = object.value(of: name) else { return nil }
    let inner = bytes.withUnsafeReadableBytes {
      try? JSONObject(scanning: UnsafeRawBufferPointer(rebasing: $0[outer])).value(of: member)
    }
    return inner.map { text(at: ($0.lowerBound + outer.lowerBound)..<($0.upperBound + outer.lowerBound)) }
  }

  /// Whether `name` is there with a value that asks for something.
  func asks(for name: String) -> Bool {
    guard let value = text(of: name) else { return false }
    return !["null", "false", "0", "0.0", "\"\"", "[]", "{}"].contains(value)
  }

  private func text(at range: Range<Int>) -> String {
    guard range.count <= 32 else { return "" }
    return bytes.getString(at: bytes.readerIndex + range.lowerBound, length: range.count) ?? ""
  }
}

package enum Route: Sendable, Equatable {
  case twoLegs
  /// The decoder prefills for itself.
  case decoderAlone
  /// Nothing but the prompt is to be computed, or one token, and the prefiller computes the first one anyway: its answer is
  /// the client's, and no KV moves.
  case prefillerAlone
}

extension ByteBuffer {
  fileprivate func byte(at offset: Int) -> UInt8? { getInteger(at: readerIndex + offset) }
}
