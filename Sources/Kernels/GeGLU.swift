import CKernels

/// `gate[i] = gelu(gate[i]) · up[i]`, gelu in its tanh form: gelu(g) = g / (1 + e^-2u), u = √(2/π) · (g + 0.044715 g³).
///
/// - Parameter gate, up: `[rows, dim]`, row-major.
///
/// Source: Shazeer 2020, section 2 (arXiv:2002.05202); Hendrycks & Gimpel 2016, section 2 (arXiv:1606.08415).
package func geGLU(
  gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, rows: Int, dim: Int, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  threads.runRows(rows, cost: 8 * dim) { row in
    let (gate, up) = (gate + row * dim, up + row * dim)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: dim) { powers in
      let powers = powers.baseAddress!
      for i in 0..<dim { powers[i] = -1.595_769_1 * (gate[i] + 0.044715 * gate[i] * gate[i] * gate[i]) }
      instructions.table.pointee.exponential(powers, powers, dim)
      for i in 0..<dim { gate[i] = gate[i] / (1 + powers[i]) * up[i] }
    }
  }
}
