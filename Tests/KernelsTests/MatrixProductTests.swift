import Kernels
import TestSupport
import Testing

struct MatrixProductTests {
  static let threads = ThreadPool(threads: 2)
  static let single = ThreadPool(threads: 1)

  /// A matrix, and the file's bytes that it was packed from.
  struct Fixture {
    let format: TensorFormat
    let rows: Int
    let columns: Int
    let bytes: [UInt8]
    let matrix: PackedMatrix

    init(_ format: TensorFormat, rows: Int, columns: Int, activations: ActivationType = .float32, seed: UInt64 = 7) {
      var random = SplitMix64(seed: seed)
      (self.format, self.rows, self.columns) = (format, rows, columns)
      bytes = random.blocks(format, count: rows * columns)
      matrix = PackedMatrix(
        packing: bytes, format: format, rows: rows, columns: columns, activations: activations, threads: threads)
    }

    func multiply(
      _ x: [Float], adding residual: [Float]? = nil, on threads: ThreadPool = single,
      _ instructions: InstructionSet = .best
    ) -> [Float] {
      let m = x.count / columns
      var out = residual ?? [Float](repeating: .nan, count: m * rows)
      matrix.multiply(
        x, rows: m, into: &out, accumulate: residual != nil, quantized: QuantizedRows(), threads: threads,
        on: instructions)
      return out
    }
  }

  /// Two blocks and a bit; more for formats of single numbers, whose rows may have any length.
  static func columns(_ format: TensorFormat) -> Int {
    format.blockElements == 1 ? 301 : format.blockElements == 32 ? 288 : 512
  }

  @Test(arguments: TensorFormat.allCases, InstructionSet.available)
  func `A product is that of the file's numbers`(format: TensorFormat, instructions: InstructionSet) {
    let fixture = Fixture(format, rows: 83, columns: Self.columns(format))
    var random = SplitMix64(seed: 3)
    let x = random.floats(2 * fixture.columns)
    let weights = referenceDequantize(fixture.bytes, format: format)
    let out = fixture.multiply(x, instructions)
    for i in 0..<2 {
      for j in 0..<fixture.rows {
        let terms = (0..<fixture.columns).map {
          Double(x[i * fixture.columns + $0]) * Double(weights[j * fixture.columns + $0])
        }
        let size = terms.reduce(0) { $0 + abs($1) }
        #expect(abs(Double(out[i * fixture.rows + j]) - terms.reduce(0, +)) <= 2e-6 * size)
      }
    }
  }

  @Test(arguments: TensorFormat.allCases)
  func `A product is one chain of fused multiply-adds in the order of the inputs, on every instruction set`(
    format: TensorFormat
  ) {
    let fixture = Fixture(format, rows: 67, columns: Self.columns(format))
    var random = SplitMix64(seed: 4)
    let x = random.floats(3 * fixture.columns)
    let weights = referenceDequantize(fixture.bytes, format: format)
    let chains = (0..<3 * fixture.rows).map { index in
      let (i, j) = index.quotientAndRemainder(dividingBy: fixture.rows)
      return (0..<fixture.columns).reduce(Float(0)) {
        $0.addingProduct(x[i * fixture.columns + $1], weights[j * fixture.columns + $1])
      }
    }
    for instructions in InstructionSet.available {
      expectSameBits(fixture.multiply(x, instructions), chains, "\(instructions.name), three rows")
      let first = Array(x[..<fixture.columns])
      expectSameBits(fixture.multiply(first, instructions), chains[..<fixture.rows], "\(instructions.name), one row")
    }
  }

  @Test(arguments: TensorFormat.allCases)
  func `A row alone has the same bits as in any batch, at any place, on one or two threads`(format: TensorFormat) {
    let fixture = Fixture(format, rows: 200, columns: Self.columns(format))
    var random = SplitMix64(seed: 5)
    let x = random.floats(70 * fixture.columns)
    let row = { (i: Int) in Array(x[i * fixture.columns..<(i + 1) * fixture.columns]) }
    let alone = (0..<70).map { fixture.multiply(row($0)) }
    expectSameBits(fixture.multiply(row(0), on: Self.threads), alone[0])
    for batch in Array(2...14) + [31, 32, 64, 69, 70] {
      let first = 70 - batch
      for threads in [Self.single, Self.threads] {
        let out = fixture.multiply(Array(x[(first * fixture.columns)...]), on: threads)
        expectSameBits(out, Array(alone[first...].joined()), "batch of \(batch)")
      }
    }
  }

  @Test(arguments: [1, 2, 7, 300]) func `Accumulating adds the finished sum to what was there`(batch: Int) {
    let fixture = Fixture(.q4_1, rows: 50, columns: 320)
    var random = SplitMix64(seed: 6)
    let x = random.floats(batch * fixture.columns), residual = random.floats(batch * fixture.rows)
    let expected = zip(fixture.multiply(x), residual).map { $0 + $1 }
    for instructions in InstructionSet.available {
      expectSameBits(fixture.multiply(x, adding: residual, on: Self.threads, instructions), expected)
    }
  }

  @Test(arguments: [1, 5, 33]) func `Several matrices in one region give what each gives alone`(batch: Int) {
    let fixtures = [(64, 1), (17, 2), (200, 3)].map { Fixture(.q8_0, rows: $0.0, columns: 96, seed: $0.1) }
    var random = SplitMix64(seed: 8)
    let x = random.floats(batch * 96)
    let outs = fixtures.map { UnsafeMutablePointer<Float>.allocate(capacity: batch * $0.rows) }
    defer { outs.forEach { $0.deallocate() } }
    multiply(x, rows: batch, by: zip(fixtures.map(\.matrix), outs).map { ($0, $1) }, threads: Self.threads)
    for (fixture, out) in zip(fixtures, outs) {
      let together = Array(UnsafeBufferPointer(start: out, count: batch * fixture.rows))
      expectSameBits(together, fixture.multiply(x))
    }
  }

  @Test(arguments: [1, 15, 16, 17, 63, 64, 65]) func `Any number of outputs works, down to one`(rows: Int) {
    let fixture = Fixture(.q4_0, rows: rows, columns: 32)
    let weights = referenceDequantize(fixture.bytes, format: .q4_0)
    for k in [0, 31] {
      var x = [Float](repeating: 0, count: 32)
      x[k] = 1
      #expect(fixture.multiply(x) == (0..<rows).map { weights[$0 * 32 + k] })
    }
  }

  @Test func `A packed matrix takes as many bytes as the file's, rounded up to sixteen outputs`() {
    #expect(Fixture(.q4_1, rows: 17, columns: 64).matrix.byteCount == 32 * 2 * 20)
  }
}
