/// The intermediate rows of a forward pass: allocated for the largest batch so far, reused by every step.
struct ForwardScratch: ~Copyable {
  private(set) var rowCapacity = 0
  private var floats = UnsafeMutablePointer<Float>.allocate(capacity: 0)

  /// The residual stream, `[rows, width]`.
  private(set) var hidden: UnsafeMutablePointer<Float>
  /// `[rows, width]`.
  private(set) var normed: UnsafeMutablePointer<Float>
  /// `[rows, heads, headDim]`.
  private(set) var queries: UnsafeMutablePointer<Float>
  /// `[rows, kvHeads, headDim]`, as are the values.
  private(set) var keys: UnsafeMutablePointer<Float>
  private(set) var values: UnsafeMutablePointer<Float>
  /// `[rows, heads * headDim]`.
  private(set) var attended: UnsafeMutablePointer<Float>
  /// `[rows, feedForwardWidth]`, as is `up`.
  private(set) var gate: UnsafeMutablePointer<Float>
  private(set) var up: UnsafeMutablePointer<Float>
  /// Of all layers, and of those that slide where these turn otherwise.
  private(set) var angles: RowAngles
  private(set) var slidingAngles: RowAngles
  /// 0, 1, 2, …: row i's angles are row i of `RowAngles`.
  private(set) var rowNumbers: [Int32] = []
  /// The block tables of the step's sequences, one after the other.
  var blockTables: [Int32] = []

  init() {
    (hidden, normed, queries, keys, values) = (floats, floats, floats, floats, floats)
    (attended, gate, up) = (floats, floats, floats)
    (angles, slidingAngles) = (RowAngles(cosines: floats, sines: floats), RowAngles(cosines: floats, sines: floats))
  }

  deinit { floats.deallocate() }

  /// Makes room for `rows`; what was in the buffers is lost if they grow.
  mutating func reserve(rows: Int, for configuration: ModelConfiguration) {
    guard rows > rowCapacity else { return }
    let c = configuration
    let (pairs, slidingPairs) = (c.rope.frequencies.count, c.slidingRope?.frequencies.count ?? 0)
    let widths = [
      c.width, c.width, c.queryWidth, c.kvWidth, c.kvWidth, c.queryWidth, c.feedForwardWidth, c.feedForwardWidth,
      pairs, pairs, slidingPairs, slidingPairs,
    ]
    floats.deallocate()
    floats = .allocate(capacity: rows * widths.reduce(0, +))
    var parts: [UnsafeMutablePointer<Float>] = []
    var next = floats
    for width in widths {
      parts.append(next)
      next += rows * width
    }
    (hidden, normed, queries, keys, values) = (parts[0], parts[1], parts[2], parts[3], parts[4])
    (attended, gate, up) = (parts[5], parts[6], parts[7])
    angles = RowAngles(cosines: parts[8], sines: parts[9])
    slidingAngles = RowAngles(cosines: parts[10], sines: parts[11])
    rowNumbers = Array(0..<Int32(rows))
    rowCapacity = rows
  }
}

/// `[rows, pairs of a head that turn]` each.
struct RowAngles {
  let cosines: UnsafeMutablePointer<Float>
  let sines: UnsafeMutablePointer<Float>
}
