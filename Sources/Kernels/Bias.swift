import CKernels

/// `out[i, j] += bias[j]`, out: `[rows, dim]`, row-major.
package func addBias(
  _ bias: UnsafePointer<Float>, rows: Int, dim: Int, to out: UnsafeMutablePointer<Float>, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: dim) { row in instructions.table.pointee.add(bias, out + row * dim, dim) }
}
