import CKernels

extension Attention {
  /// One segment of the online softmax.
  func compute(_ queries: AttentionQueries, segment: Int, into state: AttentionState) {
    state.reset()
    if readsHalves(queries) { return computeRow(queries, segment: segment, into: state) }
    let end = min((segment + 1) * AttentionState.segment, queries.position + queries.rows.count)
    let floats =
      AttentionState.tile * (kv.headDim + width) + queriesPerStep * AttentionState.tile + keyTile * kv.headDim
    withUnsafeTemporaryAllocation(byteCount: floats * 4, alignment: 64) { memory in
      let keys = memory.baseAddress!.assumingMemoryBound(to: Float.self)
      let values = keys + AttentionState.tile * kv.headDim
      let scores = values + AttentionState.tile * width
      let widened = scores + queriesPerStep * AttentionState.tile
      for first in stride(from: firstTile(of: segment, queries), to: end, by: AttentionState.tile) {
        let tile = AttentionTile(
          first: first, count: min(AttentionState.tile, end - first), keys: keys, values: values, scores: scores,
          widened: widened)
        load(tile, queries)
        for query in stride(from: 0, to: state.count, by: queriesPerStep) {
          step(query..<min(query + queriesPerStep, state.count), of: queries, tile, state)
        }
      }
    }
  }

  /// Unpacks the tile's keys and values.
  private func load(_ tile: AttentionTile, _ queries: AttentionQueries) {
    var done = 0
    while done < tile.count {
      let (index, slot) = (tile.first + done).quotientAndRemainder(dividingBy: kv.blockSize)
      let column = done % keyTile
      // Keys of slots beyond the tile's count give scores that nobody reads; whole columns are faster.
      let slots = min(keyTile - column, kv.blockSize - slot)
      let keys = kv.keys(block: queries.blockTable[index], head: queries.kvHead) + slot * kv.bytesPerSlot
      prefetch(position: tile.first + done + AttentionState.tile, slots: slots, queries, plane: 0)
      prefetch(position: tile.first + done + AttentionState.tile, slots: slots, queries, plane: 1)
      transpose(keys, slots: slots, into: tile.keys + (done - column) * kv.headDim + column, widened: tile.widened)
      unpackValues(keys + kv.bytesPerPlane, slots: min(slots, tile.count - done), into: tile.values + done * width)
      done += slots
    }
  }

  /// Blocks lie anywhere in the pool, where the hardware does not guess them.
  /// - Parameter plane: 0: keys, 1: values.
  func prefetch(position: Int, slots: Int, _ queries: AttentionQueries, plane: Int) {
    guard position < queries.position + queries.rows.count else { return }
    let (index, slot) = position.quotientAndRemainder(dividingBy: kv.blockSize)
    let keys = kv.keys(block: queries.blockTable[index], head: queries.kvHead) + slot * kv.bytesPerSlot
    xk_prefetch(keys + plane * kv.bytesPerPlane, slots * kv.bytesPerSlot)
  }

  /// - Parameter widened: Room for the keys in float.
  private func transpose(
    _ keys: UnsafeRawPointer, slots: Int, into columns: UnsafeMutablePointer<Float>,
    widened: UnsafeMutablePointer<Float>
  ) {
    switch kv.elementType {
    case .f16: table.pointee.transpose_keys(keys, 1, slots, kv.headDim, columns)
    case .f32: table.pointee.transpose_keys(keys, 0, slots, kv.headDim, columns)
    case .q8_0:
      dequantize(keys, format: .q8_0, count: slots * kv.headDim, into: widened)
      table.pointee.transpose_keys(widened, 0, slots, kv.headDim, columns)
    }
  }

  private func unpackValues(_ source: UnsafeRawPointer, slots: Int, into rows: UnsafeMutablePointer<Float>) {
    // Without padding the slots are one array.
    let (lines, length) = width == kv.headDim ? (1, slots * width) : (slots, kv.headDim)
    for line in 0..<lines {
      let (source, row) = (source + line * kv.bytesPerSlot, rows + line * width)
      switch kv.elementType {
      case .f16: table.pointee.widen(source.assumingMemoryBound(to: UInt16.self), row, length)
      case .f32: row.update(from: source.assumingMemoryBound(to: Float.self), count: length)
      case .q8_0: dequantize(source, format: .q8_0, count: length, into: row)
      }
      if lines > 1 { (row + length).update(repeating: 0, count: width - length) }
    }
  }

  /// One tile for up to six queries: scores, softmax, weighted values. The first of them may see nothing of the tile, as it
  /// lies behind them, nor the last, whose windows have passed it.
  private func step(_ range: Range<Int>, of queries: AttentionQueries, _ tile: AttentionTile, _ state: AttentionState) {
    let visible = { (query: Int) in min(tile.count, max(0, queries.position + query / group - tile.first + 1)) }
    let hidden = { (query: Int) in queries.firstSeen(by: query / group) - tile.first }
    guard let first = range.first(where: { visible($0) > 0 }),
      let last = range.last(where: { hidden($0) < tile.count }), first <= last
    else { return }
    let (range, least) = (first..<last + 1, visible(first))
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: queriesPerStep) { rows in
      for (index, query) in range.enumerated() { rows[index] = self.queries + offset(of: query, in: queries) }
      for column in stride(from: 0, to: visible(range.upperBound - 1), by: keyTile) {
        table.pointee.tile_product(
          rows.baseAddress!, range.count, tile.keys + column * kv.headDim, keyTile, kv.headDim, tile.scores + column,
          AttentionState.tile, 0)
      }
      withUnsafeTemporaryAllocation(of: Int.self, capacity: queriesPerStep) { counts in
        for (index, query) in range.enumerated() {
          counts[index] = visible(query)
          bend(tile.scores + index * AttentionState.tile, hidden: hidden(query), count: counts[index])
        }
        state.step(
          from: first, scores: tile.scores, counts: .init(rebasing: counts[..<range.count]), scale: softmaxScale)
      }
      addValues(range, slots: 0..<least, tile, state, rows)
      for (index, query) in range.enumerated() where visible(query) > least {
        addValues(query..<query + 1, slots: least..<visible(query), tile, state, rows, scoreRow: index)
      }
    }
  }

  private func addValues(
    _ range: Range<Int>, slots: Range<Int>, _ tile: AttentionTile, _ state: AttentionState,
    _ rows: UnsafeMutableBufferPointer<UnsafePointer<Float>?>, scoreRow: Int = 0
  ) {
    guard !slots.isEmpty else { return }
    for query in 0..<range.count {
      rows[query] = UnsafePointer(tile.scores + ((scoreRow + query) * AttentionState.tile + slots.lowerBound))
    }
    for column in stride(from: 0, to: width, by: panelWidth) {
      table.pointee.tile_product(
        rows.baseAddress!, range.count, tile.values + (slots.lowerBound * width + column), width, slots.count,
        state.sums + (range.lowerBound * width + column), width, 1)
    }
  }
}

/// 64 positions of one KV head, unpacked.
private struct AttentionTile {
  /// Position of its first slot.
  let first: Int
  /// Slots that any query sees.
  let count: Int
  /// `[64 / 16][headDim][16]`.
  let keys: UnsafeMutablePointer<Float>
  /// `[64][width]`.
  let values: UnsafeMutablePointer<Float>
  /// `[6][64]`.
  let scores: UnsafeMutablePointer<Float>
  /// `[16][headDim]`: a few keys on their way from a quantised pool.
  let widened: UnsafeMutablePointer<Float>
}

private let queriesPerStep = Int(XK_TILE_ROWS)
private let keyTile = Int(XK_KEY_TILE)
