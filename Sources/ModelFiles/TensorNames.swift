/// The names that GGUF gives to the tensors of Hugging Face's models.
///
/// Source: gguf-py's tensor_mapping.py (github.com/ggml-org/llama.cpp).
struct TensorNames {
  private static let whole = [
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
  ]

  private static let ofLayer = [
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
  ]

  /// Gemma 2's and later's layers have a norm after attention and another before the feed-forward network; the others'
  /// `post_attention_layernorm` is the latter.
  private let hasFourNorms: Bool
  private let tiesOutput: Bool

  /// - Parameter tiesOutput: The output matrix is the embedding, whatever else the files have.
  init(of names: some Sequence<String>, tiesOutput: Bool) {
    hasFourNorms = names.contains { $0.hasSuffix(".pre_feedforward_layernorm.weight") }
    self.tiesOutput = tiesOutput
  }

  /// A tensor that GGUF has no name for keeps its own; nil for one that is not to be used.
  func name(of original: String) -> String? {
    guard let dot = original.lastIndex(of: "."), original[dot...] == ".weight" || original[dot...] == ".bias" else {
      return original
    }
    let (stem, kind) = (String(original[..<dot]), original[dot...])
    if stem == "lm_head" && tiesOutput { return nil }
    if let name = Self.whole[stem] { return name + kind }
    let parts = stem.split(separator: ".", maxSplits: 3)
    guard parts.count == 4, parts[0] == "model", parts[1] == "layers", let layer = Int(parts[2]) else {
      return original
    }
    let part = String(parts[3])
    let name = part == "post_attention_layernorm" ? afterAttention : Self.ofLayer[part]
    return name.map { "blk.\(layer).\($0)\(kind)" } ?? original
  }

  private var afterAttention: String { hasFourNorms ? "post_attention_norm" : "ffn_norm" }
}
