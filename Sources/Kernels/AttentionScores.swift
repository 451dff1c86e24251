import CKernels

extension Attention {
  /// The first position of the first tile of a segment that any of the queries sees something of.
  func firstTile(of segment: Int, _ queries: AttentionQueries) -> Int {
    let firstSeen = queries.firstSeen(by: 0)
    return max(segment * AttentionState.segment, firstSeen - firstSeen % AttentionState.tile)
  }

  /// What the online softmax multiplies scores by: those that a softcap has bent are scaled already.
  var softmaxScale: Float { softcap == nil ? scale : 1 }

  /// What window and softcap make of a query's raw scores of a tile, before the softmax: what lies before the window
  /// counts as minus infinity.
  ///
  /// - Parameters:
  ///   - hidden: So many of the tile's first positions lie before the window; any number below `count`.
  ///   - count: Positions of the tile up to the query's own.
  func bend(_ scores: UnsafeMutablePointer<Float>, hidden: Int, count: Int) {
    if let softcap { capSoftly(scores, at: softcap, scaledBy: scale, count: count, table) }
    if hidden > 0 { scores.update(repeating: -.infinity, count: hidden) }
  }
}
