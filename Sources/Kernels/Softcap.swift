import CKernels

/// `x[i] = cap · tanh(x[i] / cap)`, off by at most 1e-6 of the cap.
///
/// - Parameter x: `[rows, dim]`, row-major.
///
/// Source: the Gemma 2 report, section 2 (arXiv:2408.00118).
package func capSoftly(
  _ x: UnsafeMutablePointer<Float>, at cap: Float, rows: Int, dim: Int, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: 4 * dim) { row in
    capSoftly(x + row * dim, at: cap, scaledBy: 1, count: dim, instructions.table)
  }
}

/// `x[i] = cap · tanh(scale · x[i] / cap)`, by tanh(y) = 1 - 2 / (1 + e^2y).
func capSoftly(
  _ x: UnsafeMutablePointer<Float>, at cap: Float, scaledBy scale: Float, count: Int, _ table: UnsafePointer<xk_table>
) {
  table.pointee.scale(2 * scale / cap, x, count)
  table.pointee.exponential(x, x, count)
  for i in 0..<count { x[i] = cap * (1 - 2 / (1 + x[i])) }
}
