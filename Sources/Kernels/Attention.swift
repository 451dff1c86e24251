import CKernels

/// Causal attention of new rows over the paged KV of their sequences: `out = softmax(q · Kᵀ · scale) · V`.
///
/// Each row at position p sees positions 0...p of its sequence, whose keys and values (its own included) are stored, or
/// of them the last `window`. With a softcap c, a score s counts as c · tanh(s / c).
/// Query head h reads KV head `h / (heads / kvHeads)`. A row's arithmetic is fixed by its position (`AttentionState`),
/// so its result is the same bits however its sequence was cut into chunks, and whatever else is in the batch.
///
/// - Parameters:
///   - queries: `[rows of the batch, heads, headDim]`, row-major.
///   - window: nil: every earlier position is seen.
///   - out: `[rows of the batch, heads, headDim]`; must not overlap `queries`.
/// - Precondition: `heads` is a multiple of `kv.kvHeads`; `window` and `softcap` are positive.
///
/// Source: Beltagy et al. 2020, section 3.1, for windows (arXiv:2004.05150); the Gemma 2 report, section 2, for softcaps
/// (arXiv:2408.00118).
package func attend(
  queries: UnsafePointer<Float>, sequences: [AttentionSequence], kv: PagedKV, heads: Int, scale: Float,
  window: Int? = nil, softcap: Float? = nil, out: UnsafeMutablePointer<Float>, threads: ThreadPool,
  on instructions: InstructionSet = .best
) {
  precondition(heads % kv.kvHeads == 0 && window ?? 1 > 0 && softcap ?? 1 > 0)
  let group = heads / kv.kvHeads
  let attention = Attention(
    queries: queries, kv: kv, heads: heads, group: group, scale: scale, softcap: softcap, out: out,
    table: instructions.table)
  let plan = AttentionPlan(sequences: sequences, kvHeads: kv.kvHeads, group: group, window: window ?? .max)
  let floatsPerPart = AttentionState.floatCount(plan.queriesPerPart, width: attention.width)
  withUnsafeTemporaryAllocation(of: Float.self, capacity: plan.partCount * floatsPerPart) { parts in
    threads.run(tasks: plan.tasks.count) { index in
      switch plan.tasks[index] {
      case .whole(let queries): attention.compute(queries)
      case .segment(let segment, let split):
        let state = attention.state(split.queries, parts.baseAddress! + split.part(of: segment) * floatsPerPart)
        attention.compute(split.queries, segment: segment, into: state)
      }
    }
    threads.run(tasks: plan.splits.count) { index in
      let split = plan.splits[index]
      attention.mergeAndWrite(split.queries) { segment in
        attention.state(split.queries, parts.baseAddress! + split.part(of: segment) * floatsPerPart)
      }
    }
  }
}

/// The arrays of one call.
struct Attention {
  let queries: UnsafePointer<Float>
  let kv: PagedKV
  let heads: Int
  /// Query heads per KV head.
  let group: Int
  let scale: Float
  let softcap: Float?
  let out: UnsafeMutablePointer<Float>
  let table: UnsafePointer<xk_table>

  /// `headDim` rounded up to whole panels.
  var width: Int { (kv.headDim + panelWidth - 1) / panelWidth * panelWidth }

  func state(_ queries: AttentionQueries, _ memory: UnsafeMutablePointer<Float>) -> AttentionState {
    AttentionState(count: queries.rows.count * group, width: width, memory: memory, table: table)
  }

  /// All segments, one after the other, and the result.
  func compute(_ queries: AttentionQueries) {
    let floats = AttentionState.floatCount(queries.rows.count * group, width: width)
    withUnsafeTemporaryAllocation(byteCount: 2 * floats * 4, alignment: 64) { memory in
      let memory = memory.baseAddress!.assumingMemoryBound(to: Float.self)
      mergeAndWrite(queries) { segment in
        let state = state(queries, segment == queries.segments.lowerBound ? memory : memory + floats)
        compute(queries, segment: segment, into: state)
        return state
      }
    }
  }

  /// - Parameter part: The state of a segment; called in order.
  func mergeAndWrite(_ queries: AttentionQueries, part: (Int) -> AttentionState) {
    let whole = part(queries.segments.lowerBound)
    for segment in queries.segments.dropFirst() { whole.merge(part(segment)) }
    for query in 0..<whole.count {
      let target = out + offset(of: query, in: queries)
      target.update(from: whole.sums + query * width, count: kv.headDim)
      table.pointee.scale(1 / whole.totals[query], target, kv.headDim)
    }
  }

  /// Where a query's vector lies in `queries` and `out`: queries count row by row.
  func offset(of query: Int, in queries: AttentionQueries) -> Int {
    let (row, head) = query.quotientAndRemainder(dividingBy: group)
    return ((queries.rows.lowerBound + row) * heads + queries.kvHead * group + head) * kv.headDim
  }
}
