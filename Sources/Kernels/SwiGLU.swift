import CKernels

/// `out[i] = silu(gate[i]) · up[i]`, silu(g) = g / (1 + e^-g), with exp to 2 ulp.
///
/// - Parameters:
///   - gate, up, out: `[rows, dim]`, row-major; `out` may be `gate` or `up`.
///
/// Source: Shazeer 2020, section 2 (arXiv:2002.05202).
package func swiGLU(
  gate: UnsafePointer<Float>, up: UnsafePointer<Float>, rows: Int, dim: Int, into out: UnsafeMutablePointer<Float>,
  threads: ThreadPool, on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: 4 * dim) { row in
    instructions.table.pointee.swiglu(gate + row * dim, up + row * dim, out + row * dim, dim)
  }
}

/// `out[i] = e^x[i]`, as attention and `swiGLU` compute it: at most 2 ulp off for x in -87...88, and 0 below.
package func exponentials(
  _ x: UnsafePointer<Float>, count: Int, into out: UnsafeMutablePointer<Float>, on instructions: InstructionSet = .best
) {
  instructions.table.pointee.exponential(x, out, count)
}
