import Glibc

/// What a `config.json` says of rotary embedding: `rope_parameters`, or before transformers 5 `rope_theta` and
/// `rope_scaling`.
struct RoPETranslation {
  private let config: JSONValue
  private let path: String
  /// Of the layers that see all.
  private let parameters: JSONValue
  private let slidingBase: Double?

  init(config: JSONValue, path: String) throws(ModelFolderError) {
    self.config = config
    self.path = path
    let all = config["rope_parameters"] ?? config["rope_scaling"] ?? .object([])
    // Where layers of different types turn differently, there is one object for each type.
    parameters = all["full_attention"] ?? all
    slidingBase = all["sliding_attention"]?["rope_theta"]?.double ?? config["rope_local_base_freq"]?.double
    if let type = all["sliding_attention"]?["rope_type"]?.string, type != "default" {
      throw .unsupported(path: path, feature: "RoPE scaling \"\(type)\" in sliding layers")
    }
  }

  private var type: String { (parameters["rope_type"] ?? parameters["type"])?.string ?? "default" }
  private var base: Double { (parameters["rope_theta"] ?? config["rope_theta"])?.double ?? 10_000 }
  private var original: Int? {
    (parameters["original_max_position_embeddings"] ?? config["original_max_position_embeddings"])?.integer
  }

  /// No head comes near.
  private static let headLimit = 1 << 16

  /// Dimensions of a head that turn; nil: all.
  private var dimensions: Int? {
    guard let heads = config["num_attention_heads"]?.integer, heads > 0, let width = config["hidden_size"]?.integer
    else { return nil }
    let share = (parameters["partial_rotary_factor"] ?? config["partial_rotary_factor"])?.double ?? 1
    let headDim = config["head_dim"]?.integer ?? width / heads
    guard share > 0, share <= 1, (1...Self.headLimit).contains(headDim) else { return nil }
    return Int(Double(headDim) * share)
  }

  /// GGUF's keys, without the architecture.
  func metadata() throws(ModelFolderError) -> [(String, GGUFValue)] {
    var metadata: [(String, GGUFValue)] = [("rope.freq_base", .float64(base))]
    if let dimensions { metadata.append(("rope.dimension_count", .signed(Int64(dimensions)))) }
    if let slidingBase { metadata.append(("rope.freq_base_swa", .float64(slidingBase))) }
    switch type {
    case "default", "llama3": break
    case "linear":
      metadata.append(("rope.scaling.type", .string("linear")))
      metadata.append(("rope.scaling.factor", .float64(try number("factor"))))
    case "longrope", "su":
      guard let original, original > 1 else { throw invalid("original_max_position_embeddings", "an integer from 2") }
      metadata.append(("rope.scaling.original_context_length", .signed(Int64(original))))
      metadata.append(("rope.scaling.attn_factor", .float64(magnitude(original: original))))
    default: metadata.append(("rope.scaling.type", .string(type)))
    }
    return metadata
  }

  /// Under the names of the tensors that a GGUF file has them in.
  func divisors() throws(ModelFolderError) -> [(String, [Double])] {
    switch type {
    case "llama3": [("rope_freqs.weight", try llama3Divisors())]
    case "longrope", "su":
      [
        ("rope_factors_long.weight", try numbers("long_factor")),
        ("rope_factors_short.weight", try numbers("short_factor")),
      ]
    default: []
    }
  }

  /// LongRoPE's, unless the file states one.
  private func magnitude(original: Int) -> Double {
    if let stated = parameters["attention_factor"]?.double { return stated }
    let longest = config["max_position_embeddings"]?.double ?? Double(original)
    let factor = parameters["factor"]?.double ?? longest / Double(original)
    return factor > 1 ? (1 + log(factor) / log(Double(original))).squareRoot() : 1
  }

  /// Long wavelengths are divided by the factor, short ones by 1, those between by something between.
  private func llama3Divisors() throws(ModelFolderError) -> [Double] {
    let (factor, low, high) = (try number("factor"), try number("low_freq_factor"), try number("high_freq_factor"))
    guard let original, original > 0, let dimensions, high > low else {
      throw invalid("rope_scaling", "complete for the type llama3")
    }
    return (0..<dimensions / 2).map { pair in
      let wavelength = 2 * Double.pi * pow(base, 2 * Double(pair) / Double(dimensions))
      let turns = Double(original) / wavelength
      if turns > high { return 1 }
      if turns < low { return factor }
      let share = (turns - low) / (high - low)
      return 1 / ((1 - share) / factor + share)
    }
  }

  private func number(_ field: String) throws(ModelFolderError) -> Double {
    guard let number = parameters[field]?.double, number > 0 else { throw invalid(field, "a positive number") }
    return number
  }

  private func numbers(_ field: String) throws(ModelFolderError) -> [Double] {
    let elements = parameters[field]?.elements ?? []
    let numbers = elements.compactMap(\.double)
    guard !numbers.isEmpty, numbers.count == elements.count else { throw invalid(field, "a list of numbers") }
    return numbers
  }

  private func invalid(_ field: String, _ expected: String) -> ModelFolderError {
    .invalidField(path: path, field: "RoPE's \(field)", expected: expected)
  }
}
