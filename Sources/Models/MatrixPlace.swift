/// Which rows of which tensor are a matrix.
struct MatrixPlace {
  /// Without `.weight`.
  let tensor: String
  let tensorRows: Int
  let rows: Range<Int>

  /// All of a tensor.
  init(_ tensor: String, rows: Int) {
    (self.tensor, tensorRows, self.rows) = (tensor, rows, 0..<rows)
  }

  /// `rows` rows of a tensor that holds several matrices, one after the other.
  init(_ tensor: String, of tensorRows: Int, after first: Int, rows: Int) {
    (self.tensor, self.tensorRows, self.rows) = (tensor, tensorRows, first..<first + rows)
  }
}

/// Where a layer's matrices lie that some architectures keep in one tensor.
struct LayerPlaces {
  let query, key, value, gate, up: MatrixPlace

  /// - Parameter layer: What the tensors' names begin with: `blk.0.`.
  init(_ layer: String, of c: ModelConfiguration) {
    guard c.architecture.fusesProjections else {
      query = MatrixPlace(layer + "attn_q", rows: c.queryWidth)
      key = MatrixPlace(layer + "attn_k", rows: c.kvWidth)
      value = MatrixPlace(layer + "attn_v", rows: c.kvWidth)
      gate = MatrixPlace(layer + "ffn_gate", rows: c.feedForwardWidth)
      up = MatrixPlace(layer + "ffn_up", rows: c.feedForwardWidth)
      return
    }
    let (qkv, qkvRows) = (layer + "attn_qkv", c.queryWidth + 2 * c.kvWidth)
    query = MatrixPlace(qkv, of: qkvRows, after: 0, rows: c.queryWidth)
    key = MatrixPlace(qkv, of: qkvRows, after: c.queryWidth, rows: c.kvWidth)
    value = MatrixPlace(qkv, of: qkvRows, after: c.queryWidth + c.kvWidth, rows: c.kvWidth)
    gate = MatrixPlace(layer + "ffn_up", of: 2 * c.feedForwardWidth, after: 0, rows: c.feedForwardWidth)
    up = MatrixPlace(layer + "ffn_up", of: 2 * c.feedForwardWidth, after: c.feedForwardWidth, rows: c.feedForwardWidth)
  }
}
