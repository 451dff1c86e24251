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
  /// `[rows, headDim / 2]`, as are the sines.
  private(set) var cosines: UnsafeMutablePointer<Float>
  private(set) var sines: UnsafeMutablePointer<Float>
  /// 0, 1, 2, …: row i's angles are row i of `cosines` and `sines`.
  private(set) var rowNumbers: [Int32] = []
  /// The block tables of the step's sequences, one after the other.
  var blockTables: [Int32] = []

  init() {
    (hidden, normed, queries, keys, values) = (floats, floats, floats, floats, floats)
    (attended, gate, up, cosines, sines) = (floats, floats, floats, floats, floats)
  }

  deinit { floats.deallocate() }

  /// Makes room for `rows`; what was in the buffers is lost if they grow.
  mutating func reserve(rows: Int, for configuration: ModelConfiguration) {
    guard rows > rowCapacity else { return }
    let c = configuration
    let half = c.headDim / 2
    let widths = [
      c.width, c.width, c.queryWidth, c.kvWidth, c.kvWidth, c.queryWidth, c.feedForwardWidth, c.feedForwardWidth,
      half, half,
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
    (attended, gate, up, cosines, sines) = (parts[5], parts[6], parts[7], parts[8], parts[9])
    rowNumbers = Array(0..<Int32(rows))
    rowCapacity = rows
  }
}
