import CKernels

/// `out[i, j] += bias[j]`, out: `[rows, dim]`, row-major.
package func addBias(
  _ bias: UnsafePointer<Float>, rows: Int, dim: Int, to out: UnsafeMutablePointer<Float>, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: dim) { row in instructions.table.pointee.add(bias, out + row * dim, dim) }
}

/// `out[i, j] += x[i, j]`, both `[rows, dim]`, row-major.
package func addRows(
  _ x: UnsafePointer<Float>, rows: Int, dim: Int, to out: UnsafeMutablePointer<Float>, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: dim) { row in instructions.table.pointee.add(x + row * dim, out + row * dim, dim) }
}
