import CKernels

extension PackedMatrix {
  /// `out[i, j] = Σ_k x[i, k] · w[j, k]`, or `+=` with `accumulate` (for the residual stream).
  ///
  /// - Parameters:
  ///   - x: `[m, columns]`, row-major, dense.
  ///   - out: `[m, rows]`, row-major, dense; must not overlap `x`.
  ///   - quantized: Where to round `x` to integers; nil only if the matrix reads activations in float32.
  package func multiply(
    _ x: UnsafePointer<Float>, rows m: Int, into out: UnsafeMutablePointer<Float>, accumulate: Bool = false,
    quantized: QuantizedRows? = nil, threads: ThreadPool, on instructions: InstructionSet = .best
  ) {
    run(x, rows: m, by: [(self, out)], accumulate: accumulate, quantized: quantized, threads: threads, on: instructions)
  }
}

/// Several matrices by the same `x` in one fork-join region (query, key and value; gate and up).
///
/// - Parameter quantized: Where to round `x` to integers; nil only if all matrices read activations in float32.
/// - Precondition: All matrices have the same number of columns.
package func multiply(
  _ x: UnsafePointer<Float>, rows m: Int, by matrices: [(PackedMatrix, UnsafeMutablePointer<Float>)],
  quantized: QuantizedRows? = nil, threads: ThreadPool, on instructions: InstructionSet = .best
) {
  run(x, rows: m, by: matrices, accumulate: false, quantized: quantized, threads: threads, on: instructions)
}

private func run(
  _ x: UnsafePointer<Float>, rows m: Int, by matrices: [(PackedMatrix, UnsafeMutablePointer<Float>)], accumulate: Bool,
  quantized: QuantizedRows?, threads: ThreadPool, on instructions: InstructionSet
) {
  guard m > 0, let columns = matrices.first?.0.columns else { return }
  var rows: [(type: ActivationType, rows: ProductRows)] = [(.float32, .float32(x))]
  for (matrix, _) in matrices where !rows.contains(where: { $0.type == matrix.activations }) {
    let quantizedRows = quantized!.rows(
      x, rows: m, columns: columns, as: matrix.activations, threads: threads, on: instructions)
    rows.append((matrix.activations, quantizedRows))
  }
  let products = matrices.map { matrix, out in
    MatrixProduct(
      rows: rows.first { $0.type == matrix.activations }!.rows, m: m, matrix: matrix, out: out, accumulate: accumulate,
      table: instructions.table)
  }
  run(products, threads: threads)
}

/// Splits the panels of all `products`, in a row, into tasks of neighbours of about the same number; many rows go through
/// all panels in passes.
private func run(_ products: [MatrixProduct], threads: ThreadPool) {
  let panels = products.reduce(0) { $0 + $1.matrix.panelCount }
  let (m, rowsPerPass) = (products[0].m, products.map(\.rowsPerPass).min()!)
  let passes = (m + rowsPerPass - 1) / rowsPerPass
  // One row goes through two panels together in float32, so there are no tasks of one.
  let parts = max(1, min(panels / 2, max(panels / 24, threads.threadCount * 6)))
  threads.run(tasks: passes * parts) { task in
    let (pass, part) = task.quotientAndRemainder(dividingBy: parts)
    let rows = m * pass / passes..<m * (pass + 1) / passes
    var first = 0
    for product in products {
      let all = first..<first + product.matrix.panelCount
      let mine = (panels * part / parts..<panels * (part + 1) / parts).clamped(to: all)
      if !mine.isEmpty { product.compute(rows: rows, panels: mine.lowerBound - first..<mine.upperBound - first) }
      first = all.upperBound
    }
  }
}

private struct MatrixProduct {
  let rows: ProductRows
  let m: Int
  let matrix: PackedMatrix
  let out: UnsafeMutablePointer<Float>
  let accumulate: Bool
  let table: UnsafePointer<xk_table>

  /// - Parameter range: All rows, if they are few.
  func compute(rows range: Range<Int>, panels: Range<Int>) {
    guard m > rows.fewRows else { return computeFewRows(panels: panels) }
    let tileBytes = rows.tileByteCount(inputs: stretch)
    let sumBytes = range.count * panelWidth * MemoryLayout<Float>.stride
    withUnsafeTemporaryAllocation(byteCount: tileBytes + sumBytes, alignment: 64) { memory in
      let sums = (memory.baseAddress! + tileBytes).assumingMemoryBound(to: Float.self)
      for panel in panels { computeTiles(rows: range, panel: panel, tile: memory.baseAddress!, sums: sums) }
    }
  }

  private func computeFewRows(panels: Range<Int>) {
    let first = panels.lowerBound * panelWidth
    if !accumulate && panels.upperBound * panelWidth <= matrix.rows {
      return rows.multiplyFewRows(m, by: matrix, panels: panels, into: out + first, stride: matrix.rows, table)
    }
    let count = panels.count * panelWidth
    withUnsafeTemporaryAllocation(of: Float.self, capacity: m * count) { sums in
      rows.multiplyFewRows(m, by: matrix, panels: panels, into: sums.baseAddress!, stride: count, table)
      for row in 0..<m {
        write(sums.baseAddress! + row * count, row: row, panel: panels.lowerBound, outputs: count)
      }
    }
  }

  /// Some rows by one panel. The sums wait for the next stretch in `out`, or in `side` if `out` has no room for them: in
  /// the last panel, or because it holds what they are added to.
  private func computeTiles(
    rows range: Range<Int>, panel: Int, tile: UnsafeMutableRawPointer, sums side: UnsafeMutablePointer<Float>
  ) {
    let isDirect = !accumulate && (panel + 1) * panelWidth <= matrix.rows
    let sums =
      isDirect
      ? Sums(start: out + (range.lowerBound * matrix.rows + panel * panelWidth), stride: matrix.rows)
      : Sums(start: side, stride: panelWidth)
    let stretch = stretch
    for input in Swift.stride(from: 0, to: matrix.columns, by: stretch) {
      let inputs = input..<min(input + stretch, matrix.columns)
      rows.unpack(matrix, panel: panel, inputs: inputs, into: tile, table)
      addProducts(rows: range, panel: panel, inputs: inputs, tile: tile, to: sums)
    }
    guard !isDirect else { return }
    for row in range {
      write(side + (row - range.lowerBound) * panelWidth, row: row, panel: panel, outputs: panelWidth)
    }
  }

  /// Rows that go through all panels before the next: at most as many as the second cache holds, but enough to be worth
  /// unpacking the weights for.
  var rowsPerPass: Int { max(96, min(240, secondCacheBytes / rows.byteCount(inputs: matrix.columns))) }

  /// Inputs whose weights are unpacked at a time: whole blocks, all stretches about the same.
  private var stretch: Int {
    let stretches = (matrix.columns + rows.longestStretch - 1) / rows.longestStretch
    let blocks = matrix.columns / matrix.format.blockElements
    return (blocks + stretches - 1) / stretches * matrix.format.blockElements
  }

  private struct Sums {
    let start: UnsafeMutablePointer<Float>
    let stride: Int
  }

  private func addProducts(
    rows range: Range<Int>, panel: Int, inputs: Range<Int>, tile: UnsafeRawPointer, to sums: Sums
  ) {
    let most = Int(XK_TILE_ROWS)
    let isAddedNext = accumulate && inputs.upperBound == matrix.columns
    // Tiles of about the same size: one row alone would leave the multipliers idle.
    let tiles = (range.count + most - 1) / most
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: most) { pointers in
      for index in 0..<tiles {
        let (first, end) = (range.count * index / tiles, range.count * (index + 1) / tiles)
        for row in first..<end {
          pointers[row - first] = rows.address(
            row: range.lowerBound + row, input: inputs.lowerBound, columns: matrix.columns)
          if isAddedNext { xk_prefetch(out + ((range.lowerBound + row) * matrix.rows + panel * panelWidth), 1) }
        }
        rows.multiply(
          rows: UnsafeBufferPointer(rebasing: pointers[..<(end - first)]), tile: tile, of: matrix,
          inputs: inputs.count, sums: sums.start + first * sums.stride, stride: sums.stride,
          add: inputs.lowerBound > 0, table)
      }
    }
  }

  private func write(_ sums: UnsafePointer<Float>, row: Int, panel: Int, outputs: Int) {
    let first = panel * panelWidth
    let count = min(outputs, matrix.rows - first)
    let target = out + (row * matrix.rows + first)
    if accumulate { table.pointee.add(sums, target, count) } else { target.update(from: sums, count: count) }
  }
}

/// What a core's second cache has room for besides weights and sums.
private let secondCacheBytes = 288 << 10
