import Glibc
import TestSupport

/// The same model in plain Swift and double precision, straight from the papers: what the fast one is held to.
struct ReferenceForward {
  let tiny: TinyModel
  private let tensors: [String: [Double]]

  init(_ tiny: TinyModel) {
    self.tiny = tiny
    tensors = Dictionary(uniqueKeysWithValues: tiny.tensors().map { ($0.name, $0.values.map(Double.init)) })
  }

  /// RoPE angles are divided by this (`rope.scaling.factor`, linear).
  var linearFactor = 1.0
  /// Dimensions of a head that turn.
  var rotatedDimensions: Int?

  /// The logits of every position.
  func logits(of tokens: [Int32]) -> [[Double]] {
    var stream = tokens.map { token in
      Array(tensors["token_embd.weight"]![Int(token) * tiny.width..<(Int(token) + 1) * tiny.width])
    }
    for layer in 0..<tiny.layers { step(&stream, "blk.\(layer).") }
    let output = tiny.hasSeparateOutput ? "output" : "token_embd"
    return stream.map { project(norm($0, "output_norm.weight"), output, rows: tiny.vocabularySize) }
  }

  private func step(_ stream: inout [[Double]], _ prefix: String) {
    let normed = stream.map { norm($0, prefix + "attn_norm.weight") }
    let queries = normed.enumerated().map { rope(project($1, prefix + "attn_q", rows: tiny.queryWidth), at: $0) }
    let keys = normed.enumerated().map { rope(project($1, prefix + "attn_k", rows: tiny.kvWidth), at: $0) }
    let values = normed.map { project($0, prefix + "attn_v", rows: tiny.kvWidth) }
    for position in stream.indices {
      let attended = attend(queries[position], keys[...position], values[...position])
      stream[position] = sum(stream[position], project(attended, prefix + "attn_output", rows: tiny.width))
      let normed = norm(stream[position], prefix + "ffn_norm.weight")
      let gate = project(normed, prefix + "ffn_gate", rows: tiny.feedForward)
      let up = project(normed, prefix + "ffn_up", rows: tiny.feedForward)
      let product = zip(gate, up).map { gate, up in gate / (1 + exp(-gate)) * up }
      stream[position] = sum(stream[position], project(product, prefix + "ffn_down", rows: tiny.width))
    }
  }

  private func attend(_ query: [Double], _ keys: ArraySlice<[Double]>, _ values: ArraySlice<[Double]>) -> [Double] {
    let dim = tiny.headDim
    return (0..<tiny.heads).flatMap { head in
      let own = head * dim, shared = head / (tiny.heads / tiny.kvHeads) * dim
      let scores = keys.map { key in
        (0..<dim).reduce(0) { $0 + query[own + $1] * key[shared + $1] } / Double(dim).squareRoot()
      }
      let weights = scores.map { exp($0 - scores.max()!) }
      let total = weights.reduce(0, +)
      return (0..<dim).map { i in zip(weights, values).reduce(0) { $0 + $1.0 * $1.1[shared + i] } / total }
    }
  }

  private func rope(_ heads: [Double], at position: Int) -> [Double] {
    let dim = tiny.headDim, rotated = rotatedDimensions ?? dim
    var out = heads
    for head in stride(from: 0, to: heads.count, by: dim) {
      for pair in 0..<rotated / 2 {
        let divisor = linearFactor * Double(tiny.ropeFactors?[pair] ?? 1)
        let angle = Double(position) * pow(Double(tiny.ropeBase), -2 * Double(pair) / Double(rotated)) / divisor
        let halves = tiny.architecture == "qwen2"
        let (i, j) = halves ? (head + pair, head + pair + dim / 2) : (head + 2 * pair, head + 2 * pair + 1)
        out[i] = heads[i] * cos(angle) - heads[j] * sin(angle)
        out[j] = heads[i] * sin(angle) + heads[j] * cos(angle)
      }
    }
    return out
  }

  private func norm(_ x: [Double], _ weight: String) -> [Double] {
    let mean = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
    return zip(x, tensors[weight]!).map { $0 / (mean + Double(tiny.epsilon)).squareRoot() * $1 }
  }

  private func project(_ x: [Double], _ name: String, rows: Int) -> [Double] {
    let matrix = tensors[name + ".weight"]!, bias = tensors[name + ".bias"]
    return (0..<rows).map { row in
      x.indices.reduce(bias?[row] ?? 0) { $0 + x[$1] * matrix[row * x.count + $1] }
    }
  }

  private func sum(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map(+) }
}
