import CKernels

// One row, as decode has it, uses each key and value of a KV head once: they go from the pool into the sums, without a
// tile in between. The order of the arithmetic is that of the tiles, so the bits are.
extension Attention {
  /// True if the queries are one row whose keys can be read as they lie.
  func readsHalves(_ queries: AttentionQueries) -> Bool {
    queries.rows.count == 1 && group <= Int(XK_TILE_ROWS) && kv.elementType == .f16 && kv.headDim % 32 == 0
      && kv.blockSize % 8 == 0
  }

  /// One segment of the online softmax, of queries that `readsHalves` is true of.
  func computeRow(_ queries: AttentionQueries, segment: Int, into state: AttentionState) {
    let end = min((segment + 1) * AttentionState.segment, queries.position + 1)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: group * AttentionState.tile) { scores in
      withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: group) { rows in
        for first in stride(from: firstTile(of: segment, queries), to: end, by: AttentionState.tile) {
          let positions = first..<min(first + AttentionState.tile, end)
          addRowTile(positions, of: queries, state, scores.baseAddress!, rows.baseAddress!)
        }
      }
    }
  }

  private func addRowTile(
    _ positions: Range<Int>, of queries: AttentionQueries, _ state: AttentionState,
    _ scores: UnsafeMutablePointer<Float>, _ rows: UnsafeMutablePointer<UnsafePointer<Float>?>
  ) {
    let tile = AttentionState.tile
    for query in 0..<group { rows[query] = self.queries + offset(of: query, in: queries) }
    forEachRun(of: positions, queries) { keys, done, slots in
      prefetch(position: positions.lowerBound + done + tile, slots: slots, queries, plane: 0)
      table.pointee.half_scores(rows, group, keys, slots, kv.headDim, scores + done, tile)
    }
    let hidden = queries.firstSeen(by: 0) - positions.lowerBound
    for query in 0..<group { bend(scores + query * tile, hidden: hidden, count: positions.count) }
    withUnsafeTemporaryAllocation(of: Int.self, capacity: group) { counts in
      counts.update(repeating: positions.count)
      state.step(from: 0, scores: scores, counts: .init(counts), scale: softmaxScale)
    }
    forEachRun(of: positions, queries) { keys, done, slots in
      prefetch(position: positions.lowerBound + done + tile, slots: slots, queries, plane: 1)
      for query in 0..<group { rows[query] = UnsafePointer(scores + (query * tile + done)) }
      let values = keys + kv.bytesPerPlane / MemoryLayout<UInt16>.size
      table.pointee.add_half_values(rows, group, values, slots, kv.headDim, state.sums)
    }
  }

  /// Calls `body` with the keys, the place among `positions` and the number of the slots of each block.
  private func forEachRun(
    of positions: Range<Int>, _ queries: AttentionQueries, _ body: (UnsafePointer<UInt16>, Int, Int) -> Void
  ) {
    var position = positions.lowerBound
    while position < positions.upperBound {
      let (index, slot) = position.quotientAndRemainder(dividingBy: kv.blockSize)
      let slots = min(kv.blockSize - slot, positions.upperBound - position)
      let keys = kv.keys(block: queries.blockTable[index], head: queries.kvHead) + slot * kv.bytesPerSlot
      body(keys.assumingMemoryBound(to: UInt16.self), position - positions.lowerBound, slots)
      position += slots
    }
  }
}
