import CKernels

/// Memory for rows of activations in int8: each block of 32 with its scale.
///
/// One thread quantises and multiplies at a time; the memory is kept for the next product.
package final class QuantizedRows {
  private var blocks = UnsafeMutablePointer<xk_int8_block>.allocate(capacity: 0)
  private var capacity = 0

  package init() {}

  deinit { blocks.deallocate() }

  /// Rounds each block to nearest: a number is off by at most 1/254 of its block's greatest.
  ///
  /// - Parameter x: `[rows, columns]`, row-major, dense.
  /// - Precondition: `columns` is a multiple of 32.
  /// - Returns: `[rows, columns / 32]`, until the next call.
  func quantize(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, threads: ThreadPool, on instructions: InstructionSet
  ) -> UnsafePointer<xk_int8_block> {
    let rowBlocks = columns / int8Block
    if rows * rowBlocks > capacity {
      blocks.deallocate()
      capacity = rows * rowBlocks
      blocks = .allocate(capacity: capacity)
    }
    let blocks = self.blocks
    threads.runRows(rows, cost: columns) { row in
      instructions.table.pointee.quantize(x + row * columns, columns, blocks + row * rowBlocks)
    }
    return UnsafePointer(blocks)
  }
}

/// Inputs that share a scale.
let int8Block = 32
