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
    if m == 1 { computeOneRow(panels: panels) } else { for panel in panels { computeTiles(panel: panel) } }
  }

  private func computeOneRow(panels: Range<Int>) {
    let count = panels.count * panelWidth
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { sums in
      table.pointee.vector_product(
        matrix.format.rawValue, x, matrix.panel(panels.lowerBound), panels.count, matrix.columns, sums.baseAddress!)
      write(sums.baseAddress!, row: 0, panel: panels.lowerBound, outputs: count)
    }
  }

  /// All rows by one panel. The panel's weights are unpacked a stretch of inputs at a time, small enough for the first
  /// cache, and used for every row; the sums wait in `sums` for the next stretch.
  private func computeTiles(panel: Int) {
    let stretch = 256
    withUnsafeTemporaryAllocation(byteCount: stretch * panelWidth * 4, alignment: 64) { tile in
      withUnsafeTemporaryAllocation(byteCount: Self.rowsPerPass * panelWidth * 4, alignment: 64) { sums in
        let tile = tile.baseAddress!.assumingMemoryBound(to: Float.self)
        let sums = sums.baseAddress!.assumingMemoryBound(to: Float.self)
        for firstRow in Swift.stride(from: 0, to: m, by: Self.rowsPerPass) {
          let rows = firstRow..<min(firstRow + Self.rowsPerPass, m)
          for firstInput in Swift.stride(from: 0, to: matrix.columns, by: stretch) {
            let inputs = firstInput..<min(firstInput + stretch, matrix.columns)
            table.pointee.unpack(matrix.format.rawValue, matrix.panel(panel), firstInput, inputs.count, tile)
            addProducts(rows: rows, inputs: inputs, tile: tile, sums: sums)
          }
          for row in rows {
            write(sums + (row - firstRow) * panelWidth, row: row, panel: panel, outputs: panelWidth)
          }
        }
      }
    }
  }

  private func addProducts(
    rows: Range<Int>, inputs: Range<Int>, tile: UnsafePointer<Float>, sums: UnsafeMutablePointer<Float>
  ) {
    let tileRows = Int(XK_TILE_ROWS)
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: tileRows) { pointers in
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: tileRows) {
        let count = min(tileRows, rows.upperBound - first)
        for i in 0..<count { pointers[i] = x + ((first + i) * matrix.columns + inputs.lowerBound) }
        table.pointee.tile_product(
          pointers.baseAddress!, count, tile, panelWidth, inputs.count,
          sums + (first - rows.lowerBound) * panelWidth, panelWidth, inputs.lowerBound > 0 ? 1 : 0)
      }
    }
  }

  /// Rows whose sums wait at a time.
  private static let rowsPerPass = 240

  private func write(_ sums: UnsafePointer<Float>, row: Int, panel: Int, outputs: Int) {
    let first = panel * panelWidth
    let count = min(outputs, matrix.rows - first)
    let target = out + (row * matrix.rows + first)
    if accumulate { table.pointee.add(sums, target, count) } else { target.update(from: sums, count: count) }
  }
}
