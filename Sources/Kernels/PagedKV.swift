import CKernels

/// Where one layer's keys and values lie in a pool of KV blocks: block contiguous, `[layer][K, V][kvHead][slot][headDim]`.
///
/// Position p of a sequence is slot `p % blockSize` of block `blockTable[p / blockSize]`.
package struct PagedKV {
  package enum ElementType: Sendable {
    case f16
    case f32
    /// ggml's blocks of 32 numbers, each with its scale; a head must be whole blocks.
    case q8_0

    var format: TensorFormat {
      switch self {
      case .f16: .f16
      case .f32: .f32
      case .q8_0: .q8_0
      }
    }
  }

  /// Block 0's bytes of this layer.
  package let base: UnsafeMutableRawPointer
  /// From one block to the next; all layers.
  package let bytesPerBlock: Int
  /// Slots per block.
  package let blockSize: Int
  package let kvHeads: Int
  package let headDim: Int
  package let elementType: ElementType
  /// Of one head's keys, or values.
  let bytesPerSlot: Int

  package init(
    base: UnsafeMutableRawPointer, bytesPerBlock: Int, blockSize: Int, kvHeads: Int, headDim: Int,
    elementType: ElementType
  ) {
    precondition(blockSize > 0 && kvHeads > 0 && headDim > 0)
    precondition(headDim % elementType.format.blockElements == 0)
    self.base = base
    self.bytesPerBlock = bytesPerBlock
    self.blockSize = blockSize
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.elementType = elementType
    bytesPerSlot = elementType.format.byteCount(of: headDim)
  }

  var bytesPerHead: Int { blockSize * bytesPerSlot }
  var bytesPerPlane: Int { kvHeads * bytesPerHead }

  func keys(block: Int32, head: Int) -> UnsafeMutableRawPointer {
    base + (Int(block) * bytesPerBlock + head * bytesPerHead)
  }

  func values(block: Int32, head: Int) -> UnsafeMutableRawPointer { keys(block: block, head: head) + bytesPerPlane }
}

/// The rows of one sequence in a batch.
package struct AttentionSequence {
  /// Which rows of the batch's arrays.
  package var rows: Range<Int>
  /// Position of the first of these rows in the sequence.
  package var startPosition: Int
  /// Covers every position up to the last row's.
  package var blockTable: UnsafePointer<Int32>

  package init(rows: Range<Int>, startPosition: Int, blockTable: UnsafePointer<Int32>) {
    self.rows = rows
    self.startPosition = startPosition
    self.blockTable = blockTable
  }
}

/// Writes new keys and values into their slots, rounded to the pool's element type.
///
/// - Parameter keys, values: `[rows of the batch, kvHeads, headDim]`, row-major.
package func storeKV(
  keys: UnsafePointer<Float>, values: UnsafePointer<Float>, sequences: [AttentionSequence], into kv: PagedKV,
  on instructions: InstructionSet = .best
) {
  for sequence in sequences {
    for row in sequence.rows {
      let position = sequence.startPosition + row - sequence.rows.lowerBound
      let (block, slot) = position.quotientAndRemainder(dividingBy: kv.blockSize)
      for head in 0..<kv.kvHeads {
        let source = (row * kv.kvHeads + head) * kv.headDim
        let offset = slot * kv.bytesPerSlot
        kv.write(keys + source, to: kv.keys(block: sequence.blockTable[block], head: head) + offset, instructions)
        kv.write(values + source, to: kv.values(block: sequence.blockTable[block], head: head) + offset, instructions)
      }
    }
  }
}

extension PagedKV {
  fileprivate func write(_ x: UnsafePointer<Float>, to slot: UnsafeMutableRawPointer, _ instructions: InstructionSet) {
    switch elementType {
    case .f16: instructions.table.pointee.narrow(x, slot.assumingMemoryBound(to: UInt16.self), headDim)
    case .f32: slot.assumingMemoryBound(to: Float.self).update(from: x, count: headDim)
    case .q8_0: xk_quantize_q8_0(x, headDim, slot.assumingMemoryBound(to: UInt8.self))
    }
  }
}
