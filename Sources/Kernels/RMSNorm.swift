import CKernels

/// Divides each row by its root mean square, then scales it: `out[i, j] = weight[j] · x[i, j] / √(mean_j(x[i, j]²) + ε)`.
///
/// - Parameters:
///   - x: `[rows, dim]`, row-major.
///   - weight: `[dim]`.
///   - epsilon: The model file's `attention.layer_norm_rms_epsilon`.
///   - out: `[rows, dim]`; may be `x`.
///
/// Source: Zhang & Sennrich 2019, eq. 4 (arXiv:1910.07467).
package func rmsNorm(
  _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, rows: Int, dim: Int,
  into out: UnsafeMutablePointer<Float>, threads: ThreadPool, on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: dim) { row in
    instructions.table.pointee.rms_norm(x + row * dim, weight, epsilon, dim, out + row * dim)
  }
}
