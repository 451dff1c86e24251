/// Some queries of one sequence that share a KV head: `rows`, each with all of the KV head's query heads.
struct AttentionQueries {
  var rows: Range<Int>
  /// Position of the first row.
  var position: Int
  var blockTable: UnsafePointer<Int32>
  var kvHead: Int
  /// Positions that a row sees, its own included.
  var window: Int

  /// The first position that a row sees, counted from the first row.
  func firstSeen(by row: Int) -> Int { max(0, position + row - (window - 1)) }
  /// From the first that the first row sees to the last that the last row does; never empty.
  var segments: Range<Int> {
    firstSeen(by: 0) / AttentionState.segment..<(position + rows.count - 1) / AttentionState.segment + 1
  }
}

/// How the work of one call is cut into tasks. (The cut does not change results.)
struct AttentionPlan {
  /// Queries whose segments different tasks compute.
  struct Split {
    var queries: AttentionQueries
    /// Where its parts lie, in units of one segment of the widest split.
    var firstPart: Int

    func part(of segment: Int) -> Int { firstPart + segment - queries.segments.lowerBound }
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

  /// - Parameters:
  ///   - group: Query heads per KV head.
  ///   - window: Positions that a row sees, its own included.
  init(sequences: [AttentionSequence], kvHeads: Int, group: Int, window: Int) {
    let rowsPerTask = max(1, 96 / group)
    let rowsPerSplit = max(1, 24 / group)
    for sequence in sequences where !sequence.rows.isEmpty {
      for kvHead in 0..<kvHeads {
        // The last rows see most: they go first.
        for first in stride(from: sequence.rows.lowerBound, to: sequence.rows.upperBound, by: rowsPerTask).reversed() {
          let queries = AttentionQueries(
            rows: first..<min(first + rowsPerTask, sequence.rows.upperBound),
            position: sequence.startPosition + first - sequence.rows.lowerBound, blockTable: sequence.blockTable,
            kvHead: kvHead, window: window)
          if sequence.rows.count <= rowsPerSplit && queries.segments.count > 1 {
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
    for segment in queries.segments { tasks.append(.segment(segment, of: split)) }
    splits.append(split)
    partCount += queries.segments.count
    queriesPerPart = max(queriesPerPart, queries.rows.count * group)
  }
}
