import Glibc

/// A `config.json` in GGUF's keys, as a converter writes them.
///
/// Source: transformers' configuration classes; convert_hf_to_gguf.py (github.com/ggml-org/llama.cpp).
struct ConfigurationTranslation {
  /// `model_type` to `general.architecture`; others keep their name.
  private static let architectures = [
    "mistral": "llama", "gemma3_text": "gemma3",
  ]

  private static let integers = [
    ("num_hidden_layers", "block_count"), ("hidden_size", "embedding_length"),
    ("intermediate_size", "feed_forward_length"), ("max_position_embeddings", "context_length"),
    ("num_attention_heads", "attention.head_count"), ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"), ("head_dim", "attention.value_length"),
  ]

  private static let numbers = [
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"), ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
  ]

  let config: JSONValue
  /// Of the file, for errors.
  let path: String

  var tiesOutput: Bool { config["tie_word_embeddings"]?.bool ?? architecture.hasPrefix("gemma") }

  private var modelType: String { config["model_type"]?.string ?? "" }
  private var architecture: String { Self.architectures[modelType] ?? modelType }

  func metadata() throws(ModelFolderError) -> GGUFMetadata {
    guard case .object = config, !modelType.isEmpty else {
      throw invalid("model_type", "the name of an architecture")
    }
    try refuseOthers()
    for field in ["num_hidden_layers", "hidden_size", "intermediate_size", "max_position_embeddings", "rms_norm_eps"]
    where config[field] == nil { throw invalid(field, "a number, and is missing") }
    var metadata = GGUFMetadata()
    _ = metadata.append("general.architecture", .string(architecture))
    func set(_ key: String, _ value: GGUFValue?) {
      if let value { _ = metadata.append("\(architecture).\(key)", value) }
    }
    for (field, key) in Self.integers { set(key, try integer(field).map { .signed(Int64($0)) }) }
    for (field, key) in Self.numbers { set(key, try number(field).map { .float64($0) }) }
    set("attention.scale", try number("query_pre_attn_scalar").map { .float64(1 / $0.squareRoot()) })
    if try usesWindow() {
      set("attention.sliding_window", try integer("sliding_window").map { .signed(Int64($0)) })
      set("attention.sliding_window_pattern", try windowPattern().map { .list($0.map { .bool($0) }) })
    }
    let rope = try RoPETranslation(config: config, path: path)
    for (key, value) in try rope.metadata() { set(key, value) }
    for (key, divisors) in try rope.divisors() { _ = metadata.append(key, .list(divisors.map { .float64($0) })) }
    return metadata
  }

  /// What the architecture does not have of itself, and GGUF's files do not say.
  private func refuseOthers() throws(ModelFolderError) {
    if let quantization = config["quantization_config"] {
      throw unsupported("weights quantised by \"\(quantization["quant_method"]?.string ?? "?")\"")
    }
    let isGemma = architecture.hasPrefix("gemma")
    let gate = config[isGemma ? "hidden_activation" : "hidden_act"]?.string
    guard gate == nil || gate == (isGemma ? "gelu_pytorch_tanh" : "silu") else {
      throw unsupported("the activation \"\(gate ?? "")\"")
    }
    if config["text_config"] != nil { throw unsupported("more than text (text_config)") }
    if config["use_bidirectional_attention"]?.bool == true { throw unsupported("bidirectional attention") }
  }

  private func usesWindow() throws(ModelFolderError) -> Bool {
    guard ["mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3_text"].contains(modelType) else { return false }
    return config["use_sliding_window"]?.bool ?? !modelType.hasPrefix("qwen")
  }

  /// Of each layer, whether its attention slides; nil: as the architecture has it.
  private func windowPattern() throws(ModelFolderError) -> [Bool]? {
    if let types = config["layer_types"] {
      let names = (types.elements ?? []).map(\.string)
      for name in names where name != "sliding_attention" && name != "full_attention" {
        throw unsupported("layers of the type \"\(name ?? "?")\"")
      }
      return names.map { $0 == "sliding_attention" }
    }
    // A count out of bounds is refused where it is read.
    guard let layers = try integer("num_hidden_layers"), layers > 0, layers < 1 << 20 else { return nil }
    if let every = try integer("sliding_window_pattern"), every > 0 { return (1...layers).map { $0 % every != 0 } }
    return try integer("max_window_layers").map { first in (0..<layers).map { $0 >= first } }
  }

  private func integer(_ field: String) throws(ModelFolderError) -> Int? {
    guard let value = config[field] else { return nil }
    guard let integer = value.integer else { throw invalid(field, "an integer") }
    return integer
  }

  private func number(_ field: String) throws(ModelFolderError) -> Double? {
    guard let value = config[field] else { return nil }
    guard let number = value.double else { throw invalid(field, "a number") }
    return number
  }

  private func invalid(_ field: String, _ expected: String) -> ModelFolderError {
    .invalidField(path: path, field: field, expected: expected)
  }

  private func unsupported(_ feature: String) -> ModelFolderError { .unsupported(path: path, feature: feature) }
}
