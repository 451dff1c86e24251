import Engine
import ServingAPI

extension NGramSpeculation {
  private static let limit = 64

  /// `--speculative-config`: vLLM's JSON for method `ngram`, with its defaults.
  package init(json: String) throws(WorkerError) {
    let value: BodyValue
    do {
      value = try BodyParser.parse(Array(json.utf8))
    } catch {
      throw .badSpeculativeConfiguration("it is not JSON: \(error.reason) (byte \(error.offset))")
    }
    guard case .object(let fields) = value else { throw .badSpeculativeConfiguration("it is not a JSON object") }
    let known = ["method", "num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min"]
    if let other = fields.keys.first(where: { !known.contains($0) }) {
      throw .badSpeculativeConfiguration("\(other) is not known; known are \(known.joined(separator: ", "))")
    }
    guard fields["method"]?.stringValue == "ngram" else {
      throw .badSpeculativeConfiguration("method must be ngram")
    }
    guard let draftTokens = try Self.count(fields, "num_speculative_tokens") else {
      throw .badSpeculativeConfiguration("num_speculative_tokens is missing")
    }
    let (longest, shortest) = (try Self.count(fields, "prompt_lookup_max"), try Self.count(fields, "prompt_lookup_min"))
    let lookup = (shortest ?? longest ?? 5, longest ?? shortest ?? 5)
    guard lookup.0 <= lookup.1 else {
      throw .badSpeculativeConfiguration("prompt_lookup_min (\(lookup.0)) exceeds prompt_lookup_max (\(lookup.1))")
    }
    self.init(draftTokens: draftTokens, lookup: lookup.0...lookup.1)
  }

  private static func count(_ fields: BodyValue.Fields, _ key: String) throws(WorkerError) -> Int? {
    guard let value = fields[key], value != .null else { return nil }
    guard case .integer(let count) = value, (1...limit).contains(Int(clamping: count)) else {
      throw .badSpeculativeConfiguration("\(key) must be a whole number from 1 to \(limit)")
    }
    return Int(count)
  }
}
