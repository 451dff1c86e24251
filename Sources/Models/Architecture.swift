import Kernels

/// What sets a family of models apart from the plain Llama: the loader and the forward pass ask this value, and know no
/// names.
package struct Architecture: Equatable, Sendable {
  package enum Gate: Sendable { case silu, gelu }

  /// GGUF's `general.architecture`.
  package let name: String
  /// Which elements of a head turn together in GGUF's files; in the authors' own, halves.
  var pairing = RoPEPairing.halves
  /// Queries, keys and values have biases; elsewhere they may.
  var needsAttentionBiases = false
  /// Every query and key is normed, head by head, before it turns.
  var normsHeads = false
  /// What attention and the feed-forward network give is normed before it joins the residual stream.
  var normsOutputs = false
  /// Queries, keys and values are one matrix, and so are gate and up.
  var fusesProjections = false
  var gate = Gate.silu
  /// The authors' own files have norm weights less 1; GGUF's have them whole.
  var storesNormsLessOne = false
  /// Token embeddings are multiplied by √width.
  var scalesEmbeddings = false
  /// Where the model has a window, every so many-th layer sees all; nil: none does.
  var fullAttentionEvery: Int?
  /// RoPE's base in the layers that slide; nil: as in the others.
  var slidingRopeBase: Double?
  /// With so many layers, a score is divided by √(width / heads), and not by √headDim.
  var layersScaledByWidth: Int?

  /// Those that run.
  package static let all = [llama, qwen2, qwen3, phi3, gemma, gemma2, gemma3]

  /// Llama 2 and 3.x, SmolLM2, TinyLlama, Mistral. Converters to GGUF reorder query and key rows.
  ///
  /// Source: Touvron et al. 2023 (arXiv:2302.13971, 2307.09288); Jiang et al. 2023 for the window (arXiv:2310.06825).
  package static let llama = Architecture(name: "llama", pairing: .adjacent)
  /// Qwen 2 and 2.5. Source: Yang et al. 2024 (arXiv:2407.10671).
  package static let qwen2 = Architecture(name: "qwen2", needsAttentionBiases: true)
  /// Source: Yang et al. 2025 (arXiv:2505.09388).
  package static let qwen3 = Architecture(name: "qwen3", normsHeads: true)
  /// Phi 3 and 3.5. Source: Abdin et al. 2024 (arXiv:2404.14219).
  package static let phi3 = Architecture(name: "phi3", fusesProjections: true)
  /// Source: Gemma Team 2024 (arXiv:2403.08295).
  package static let gemma = Architecture(name: "gemma", gate: .gelu, storesNormsLessOne: true, scalesEmbeddings: true)
  /// Source: Gemma Team 2024 (arXiv:2408.00118).
  package static let gemma2 = Architecture(
    name: "gemma2", normsOutputs: true, gate: .gelu, storesNormsLessOne: true, scalesEmbeddings: true,
    fullAttentionEvery: 2, layersScaledByWidth: 46)
  /// Source: Gemma Team 2025 (arXiv:2503.19786).
  package static let gemma3 = Architecture(
    name: "gemma3", normsHeads: true, normsOutputs: true, gate: .gelu, storesNormsLessOne: true,
    scalesEmbeddings: true, fullAttentionEvery: 6, slidingRopeBase: 10_000, layersScaledByWidth: 62)

  /// Whether a layer's attention slides, in a model that has a window.
  func slides(layer: Int) -> Bool { fullAttentionEvery.map { (layer + 1) % $0 != 0 } ?? true }
}
