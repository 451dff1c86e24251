import CKernels

/// The online softmax of a few queries in mid-course: for each its greatest score, its sum of exponentials and its
/// weighted sum of values.
///
/// The order of a query's arithmetic is fixed by its position. Positions come in segments of 256, each with a fresh
/// state, merged in order; a segment comes in tiles of 64, each one step of the online softmax; the values of a tile
/// are added slot by slot. So segments can be computed on different threads.
///
/// Source: Milakov & Gimelshein 2018 (arXiv:1805.02867); Dao 2023 (arXiv:2307.08691).
struct AttentionState {
  static let segment = 256
  static let tile = 64

  let count: Int
  /// Floats per query in `sums`: the head's dimension, rounded up to whole panels.
  let width: Int
  let table: UnsafePointer<xk_table>
  let maxima: UnsafeMutablePointer<Float>
  let totals: UnsafeMutablePointer<Float>
  let sums: UnsafeMutablePointer<Float>

  /// - Parameter memory: `floatCount(count, width)` floats.
  init(count: Int, width: Int, memory: UnsafeMutablePointer<Float>, table: UnsafePointer<xk_table>) {
    self.count = count
    self.width = width
    self.table = table
    sums = memory
    maxima = memory + count * width
    totals = maxima + count
  }

  static func floatCount(_ count: Int, width: Int) -> Int { count * (width + 2) }

  func reset() {
    sums.update(repeating: 0, count: count * width)
    maxima.update(repeating: -.infinity, count: count)
    totals.update(repeating: 0, count: count)
  }

  /// One step of the online softmax for `counts.count` queries from `first` on, over `counts[i]` (from 1) scores each.
  /// - Parameter scores: `[counts.count][AttentionState.tile]`: raw; then their exponentials.
  func step(from first: Int, scores: UnsafeMutablePointer<Float>, counts: UnsafeBufferPointer<Int>, scale: Float) {
    table.pointee.softmax_steps(
      counts.count, scores, Self.tile, counts.baseAddress!, scale, maxima + first, totals + first,
      sums + first * width, width)
  }

  /// Adds a later segment. A query that saw nothing of that segment stays as it is.
  func merge(_ later: AttentionState) {
    for query in 0..<count where later.totals[query] > 0 {
      let peak = max(maxima[query], later.maxima[query])
      var factors = (maxima[query] - peak, later.maxima[query] - peak)
      withUnsafeMutableBytes(of: &factors) { bytes in
        let pair = bytes.assumingMemoryBound(to: Float.self).baseAddress!
        table.pointee.exponential(pair, pair, 2)
      }
      table.pointee.blend(factors.0, sums + query * width, factors.1, later.sums + query * width, width)
      totals[query] = totals[query] * factors.0 + later.totals[query] * factors.1
      maxima[query] = peak
    }
  }
}
