import CKernels

extension PackedMatrix {
  /// `out[i, j] = Σ_k x[i, k] · w[j, k]`, or `+=` with `accumulate` (for the residual stream).
  ///
  /// - Parameters:
  ///   - x: `[m, columns]`, row-major, dense.
  ///   - out: `[m, rows]`, row-major, dense; must not overlap `x`.
  package func multiply(
    _ x: UnsafePointer<Float>, rows m: Int, into out: UnsafeMutablePointer<Float>, accumulate: Bool = false,
    threads: ThreadPool, on instructions: InstructionSet = .best
  ) {
    let product = MatrixProduct(x: x, m: m, matrix: self, out: out, accumulate: accumulate, table: instructions.table)
    run([product], threads: threads)
  }
}

/// Several matrices by the same `x` in one fork-join region (query, key and value; gate and up).
///
/// - Precondition: All matrices have the same number of columns.
package func multiply(
  _ x: UnsafePointer<Float>, rows m: Int, by matrices: [(PackedMatrix, UnsafeMutablePointer<Float>)],
  threads: ThreadPool, on instructions: InstructionSet = .best
) {
  let products = matrices.map { matrix, out in
    MatrixProduct(x: x, m: m, matrix: matrix, out: out, accumulate: false, table: instructions.table)
  }
  run(products, threads: threads)
}

/// Splits all panels of `products` into tasks of neighbouring panels.
private func run(_ products: [MatrixProduct], threads: ThreadPool) {
  guard let m = products.first?.m, m > 0 else { return }
  let panels = products.reduce(0) { $0 + $1.matrix.panelCount }
  let panelsPerTask = max(1, min(24, panels / (threads.threadCount * 6)))
  var tasks: [(product: Int, panels: Range<Int>)] = []
  for (index, product) in products.enumerated() {
    for first in stride(from: 0, to: product.matrix.panelCount, by: panelsPerTask) {
      tasks.append((index, first..<min(first + panelsPerTask, product.matrix.panelCount)))
    }
  }
  threads.run(tasks: tasks.count) { products[tasks[$0].product].compute(panels: tasks[$0].panels) }
}

private struct MatrixProduct {
  let x: UnsafePointer<Float>
  let m: Int
  let matrix: PackedMatrix
  let out: UnsafeMutablePointer<Float>
  let accumulate: Bool
  let table: UnsafePointer<xk_table>

  func compute(panels: Range<Int>) {
    guard m > 1 else { return computeOneRow(panels: panels) }
    for first in stride(from: 0, to: m, by: rowsPerPass) {
      for panel in panels { computeTiles(rows: first..<min(first + rowsPerPass, m), panel: panel) }
    }
  }

  private func computeOneRow(panels: Range<Int>) {
    let count = panels.count * panelWidth
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { sums in
      table.pointee.vector_product(
        matrix.format.rawValue, x, matrix.panel(panels.lowerBound), panels.count, matrix.columns, sums.baseAddress!)
      write(sums.baseAddress!, row: 0, panel: panels.lowerBound, outputs: count)
    }
  }

  /// Some rows by one panel. The panel's weights are unpacked a stretch of inputs at a time, small enough for the first
  /// cache, and used for every row; the sums wait for the next stretch in `out`, or beside it if `out` has no room for
  /// them: in the last panel, or because it holds what they are added to.
  private func computeTiles(rows: Range<Int>, panel: Int) {
    let (stretch, target) = (stretch, out + (rows.lowerBound * matrix.rows + panel * panelWidth))
    let isDirect = !accumulate && (panel + 1) * panelWidth <= matrix.rows
    let floats = stretch * panelWidth + (isDirect ? 0 : rows.count * panelWidth)
    withUnsafeTemporaryAllocation(byteCount: floats * 4, alignment: 64) { memory in
      let tile = memory.baseAddress!.assumingMemoryBound(to: Float.self)
      let sums =
        isDirect
        ? Sums(start: target, stride: matrix.rows) : Sums(start: tile + stretch * panelWidth, stride: panelWidth)
      for input in Swift.stride(from: 0, to: matrix.columns, by: stretch) {
        let inputs = input..<min(input + stretch, matrix.columns)
        table.pointee.unpack(matrix.format.rawValue, matrix.panel(panel), input, inputs.count, tile)
        addProducts(rows: rows, inputs: inputs, tile: tile, to: sums)
      }
      guard !isDirect else { return }
      for row in rows {
        write(sums.start + (row - rows.lowerBound) * panelWidth, row: row, panel: panel, outputs: panelWidth)
      }
    }
  }

  /// Rows that go through all of a task's panels before the next: as many as the second cache holds, but enough to be
  /// worth unpacking the weights for.
  private var rowsPerPass: Int { max(96, min(240, 73728 / matrix.columns / 6 * 6)) }

  /// Inputs whose weights are unpacked at a time: at most 20 KiB of them, whole blocks, all stretches about the same.
  private var stretch: Int {
    let stretches = (matrix.columns + 319) / 320
    let blocks = matrix.columns / matrix.format.blockElements
    return (blocks + stretches - 1) / stretches * matrix.format.blockElements
  }

  private struct Sums {
    let start: UnsafeMutablePointer<Float>
    let stride: Int
  }

  private func addProducts(rows: Range<Int>, inputs: Range<Int>, tile: UnsafePointer<Float>, to sums: Sums) {
    let most = Int(XK_TILE_ROWS)
    // Tiles of about the same size: one row alone would leave the multipliers idle.
    let tiles = (rows.count + most - 1) / most
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: most) { pointers in
      for index in 0..<tiles {
        let (first, end) = (rows.count * index / tiles, rows.count * (index + 1) / tiles)
        for row in first..<end {
          pointers[row - first] = x + ((rows.lowerBound + row) * matrix.columns + inputs.lowerBound)
        }
        table.pointee.tile_product(
          pointers.baseAddress!, end - first, tile, panelWidth, inputs.count, sums.start + first * sums.stride,
          sums.stride, inputs.lowerBound > 0 ? 1 : 0)
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
