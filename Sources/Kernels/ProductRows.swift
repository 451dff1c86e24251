import CKernels

/// A product's rows of activations in one type, and that type's way of multiplying: a panel's weights are unpacked to
/// a tile, a stretch of inputs at a time, and the tile is used for all rows.
enum ProductRows {
  /// `[m, columns]`.
  case float32(UnsafePointer<Float>)
  /// `[m, columns / 32]`.
  case int16(UnsafePointer<xk_int16_block>)
  /// `[m, columns / 32]`.
  case int8(UnsafePointer<xk_int8_block>)

  /// Most inputs of a tile: it should leave the first cache room for rows.
  var longestStretch: Int {
    switch self {
    case .float32: 320
    case .int16: 576
    case .int8: 768
    }
  }

  func tileByteCount(inputs: Int) -> Int {
    switch self {
    case .float32: inputs * panelWidth * MemoryLayout<Float>.stride
    case .int16: inputs / integerBlock * MemoryLayout<xk_int16_tile>.stride
    case .int8: inputs / integerBlock * MemoryLayout<xk_int8_tile>.stride
    }
  }

  /// Of a row's activations.
  func byteCount(inputs: Int) -> Int {
    switch self {
    case .float32: inputs * MemoryLayout<Float>.stride
    case .int16: inputs / integerBlock * MemoryLayout<xk_int16_block>.stride
    case .int8: inputs / integerBlock * MemoryLayout<xk_int8_block>.stride
    }
  }

  /// Where the row's activations from `input` on lie.
  func address(row: Int, input: Int, columns: Int) -> UnsafeRawPointer {
    switch self {
    case .float32(let x): UnsafeRawPointer(x + (row * columns + input))
    case .int16(let x): UnsafeRawPointer(x + (row * columns + input) / integerBlock)
    case .int8(let x): UnsafeRawPointer(x + (row * columns + input) / integerBlock)
    }
  }

  func unpack(
    _ matrix: PackedMatrix, panel: Int, inputs: Range<Int>, into tile: UnsafeMutableRawPointer,
    _ table: UnsafePointer<xk_table>
  ) {
    let (format, weights) = (matrix.panelFormat, matrix.panel(panel))
    switch self {
    case .float32:
      table.pointee.unpack(format, weights, inputs.lowerBound, inputs.count, tile.assumingMemoryBound(to: Float.self))
    case .int16:
      table.pointee.unpack_int16(
        format, weights, inputs.lowerBound, inputs.count, tile.assumingMemoryBound(to: xk_int16_tile.self))
    case .int8:
      table.pointee.unpack_int8(
        format, weights, inputs.lowerBound, inputs.count, tile.assumingMemoryBound(to: xk_int8_tile.self))
    }
  }

  /// - Parameters:
  ///   - rows: Up to six, from `address`.
  ///   - tile: What `unpack` made of `inputs` inputs.
  func multiply(
    rows: UnsafeBufferPointer<UnsafeRawPointer?>, tile: UnsafeRawPointer, of matrix: PackedMatrix, inputs: Int,
    sums: UnsafeMutablePointer<Float>, stride: Int, add: Bool, _ table: UnsafePointer<xk_table>
  ) {
    let pointers = UnsafeRawPointer(rows.baseAddress!)
    switch self {
    case .float32:
      table.pointee.tile_product(
        pointers.assumingMemoryBound(to: UnsafePointer<Float>?.self), rows.count,
        tile.assumingMemoryBound(to: Float.self), panelWidth, inputs, sums, stride, add ? 1 : 0)
    case .int16:
      table.pointee.int16_tile_product(
        matrix.panelFormat, pointers.assumingMemoryBound(to: UnsafePointer<xk_int16_block>?.self), rows.count,
        tile.assumingMemoryBound(to: xk_int16_tile.self), inputs, sums, stride, add ? 1 : 0)
    case .int8:
      table.pointee.int8_tile_product(
        matrix.panelFormat, pointers.assumingMemoryBound(to: UnsafePointer<xk_int8_block>?.self), rows.count,
        tile.assumingMemoryBound(to: xk_int8_tile.self), inputs, sums, stride, add ? 1 : 0)
    }
  }

  /// Most rows that go through panels without a tile.
  var fewRows: Int {
    switch self {
    case .float32, .int8: 1
    case .int16: 16
    }
  }

  /// The first `m` rows, at most `fewRows`, by some panels: `sums[i * stride + j]`, j counting these panels' outputs.
  func multiplyFewRows(
    _ m: Int, by matrix: PackedMatrix, panels: Range<Int>, into sums: UnsafeMutablePointer<Float>, stride: Int,
    _ table: UnsafePointer<xk_table>
  ) {
    let (format, first) = (matrix.panelFormat, matrix.panel(panels.lowerBound))
    switch self {
    case .float32(let x): table.pointee.vector_product(format, x, first, panels.count, matrix.columns, sums)
    case .int16(let x):
      table.pointee.int16_rows_product(format, x, m, first, panels.count, matrix.columns, sums, stride)
    case .int8(let x): table.pointee.int8_vector_product(format, x, first, panels.count, matrix.columns, sums)
    }
  }
}
