/// Some queries of one sequence that share a KV head: `rows`, each with all of the KV head's query heads.
struct AttentionQueries {
  var rows: Range<Int>
  /// Position of the first row.
  var position: Int
  var blockTable: UnsafePointer<Int32>
  var kvHead: Int

  /// Segments that the last row sees.
  var segmentCount: Int { (position + rows.count - 1) / AttentionState.segment + 1 }
}

/// How the work of one call is cut into tasks. (The cut does not change results.)
struct AttentionPlan {
  /// Queries whose segments different tasks compute.
  struct Split {
    var queries: AttentionQueries
    /// Where its parts lie: of segment s at `firstPart + s`, in units of one segment of the widest split.
    var firstPart: Int
  }

  enum Task {
    case whole(AttentionQueries)
    case segment(Int, of: Split)
  }

  private(set) var tasks: [Task] = []
  private(set) var splits: [Split] = []
  private(set) var partCount = 0
  /// Most queries in one part.
  private(set) var queriesPerPart = 0

  /// - Parameter group: Query heads per KV head.
  init(sequences: [AttentionSequence], kvHeads: Int, group: Int) {
    let rowsPerTask = max(1, 96 / group)
    let rowsPerSplit = max(1, 24 / group)
    for sequence in sequences where !sequence.rows.isEmpty {
      for kvHead in 0..<kvHeads {
        // The last rows see most: they go first.
        for first in stride(from: sequence.rows.lowerBound, to: sequence.rows.upperBound, by: rowsPerTask).reversed() {
          let queries = AttentionQueries(
            rows: first..<min(first + rowsPerTask, sequence.rows.upperBound),
            position: sequence.startPosition + first - sequence.rows.lowerBound, blockTable: sequence.blockTable,
            kvHead: kvHead)
          if sequence.rows.count <= rowsPerSplit && queries.segmentCount > 1 {
            split(queries, group: group)
          } else {
            tasks.append(.whole(queries))
          }
        }
      }
    }
  }

  private mutating func split(_ queries: AttentionQueries, group: Int) {
    let split = Split(queries: queries, firstPart: partCount)
    for segment in 0..<queries.segmentCount { tasks.append(.segment(segment, of: split)) }
    splits.append(split)
    partCount += queries.segmentCount
    queriesPerPart = max(queriesPerPart, queries.rows.count * group)
  }
}
