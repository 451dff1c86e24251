import CKernels

/// Which elements of a head turn together.
package enum RoPEPairing: Sendable {
  /// (2i, 2i + 1): GGUF's architecture `llama`.
  case adjacent
  /// (i, i + half of the dimensions that turn): all others.
  case halves
}

/// Turns each pair of elements of each head, in place, by the angles of its row's position.
///
/// - Parameters:
///   - x: `[rows, heads, headDim]`, row-major.
///   - rotated: So many of a head's first dimensions turn; even.
///   - positions: `[rows]`: the row of `cosines` and `sines` to use.
///   - cosines, sines: `[any, rotated / 2]`: of the angle of pair i at a position.
///
/// Source: Su et al. 2021, section 3.2 (arXiv:2104.09864).
package func applyRoPE(
  _ x: UnsafeMutablePointer<Float>, rows: Int, heads: Int, headDim: Int, rotated: Int, positions: UnsafePointer<Int32>,
  cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>, pairing: RoPEPairing, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  precondition(rotated % 2 == 0 && rotated <= headDim)
  let half = rotated / 2
  threads.runRows(rows, cost: heads * headDim) { row in
    let angles = Int(positions[row]) * half
    for head in 0..<heads {
      instructions.table.pointee.rotate(
        x + (row * heads + head) * headDim, half, cosines + angles, sines + angles, pairing == .halves ? 1 : 0)
    }
  }
}
