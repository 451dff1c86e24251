import CKernels

/// Memory for rows of activations in integers: each block of 32 with its scale.
///
/// One thread quantises and multiplies at a time; the memory is kept for the next product.
package final class QuantizedRows {
  private var int8 = BlockBuffer<xk_int8_block>()
  private var int16 = BlockBuffer<xk_int16_block>()

  package init() {}

  /// Rounds each block to nearest: a number is off by at most 1/254 of its block's greatest in int8, 1/65,534 in int16.
  ///
  /// - Parameter x: `[rows, columns]`, row-major, dense.
  /// - Precondition: `columns` is a multiple of 32, unless the type is float32.
  /// - Returns: The rows in that type; until the next call with it.
  func rows(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, as type: ActivationType, threads: ThreadPool,
    on instructions: InstructionSet
  ) -> ProductRows {
    let (table, rowBlocks) = (instructions.table, columns / integerBlock)
    switch type {
    case .float32: return .float32(x)
    case .int16:
      let blocks = int16.reserve(rows * rowBlocks)
      threads.runRows(rows, cost: columns) {
        table.pointee.quantize_int16(x + $0 * columns, columns, blocks + $0 * rowBlocks)
      }
      return .int16(blocks)
    case .int8:
      let blocks = int8.reserve(rows * rowBlocks)
      threads.runRows(rows, cost: columns) {
        table.pointee.quantize_int8(x + $0 * columns, columns, blocks + $0 * rowBlocks)
      }
      return .int8(blocks)
    }
  }
}

/// Grows to the largest size asked for.
private struct BlockBuffer<Block: BitwiseCopyable>: ~Copyable {
  private var blocks = UnsafeMutablePointer<Block>.allocate(capacity: 0)
  private var capacity = 0

  deinit { blocks.deallocate() }

  /// - Returns: Room for `count` blocks, whose contents are lost at the next call.
  mutating func reserve(_ count: Int) -> UnsafeMutablePointer<Block> {
    if count > capacity {
      blocks.deallocate()
      blocks = .allocate(capacity: count)
      capacity = count
    }
    return blocks
  }
}

/// Inputs that share a scale.
let integerBlock = 32
