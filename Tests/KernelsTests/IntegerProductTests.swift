import Kernels
import TestSupport
import Testing

struct IntegerProductTests {
  typealias Fixture = MatrixProductTests.Fixture
  static let formats: [TensorFormat] = [.q4_0, .q4_1, .q5_0, .q8_0]
  static let int16Formats = formats + [.q5_1, .q4_K, .q5_K]
  static let types: [ActivationType] = [.int16, .int8]
  /// More than one stretch of a tile.
  static let columns = 1056

  @Test(arguments: formats, types)
  func `A product adds each block's integers exactly and the blocks in order, on every instruction set`(
    format: TensorFormat, activations: ActivationType
  ) {
    let fixture = Fixture(format, rows: 67, columns: Self.columns, activations: activations)
    var random = SplitMix64(seed: 14)
    let x = random.floats(3 * Self.columns)
    let rows = (0..<3).map { x[$0 * Self.columns..<($0 + 1) * Self.columns] }
    let expected = rows.map {
      referenceIntegerProduct(
        $0, greatest: activations.greatest, fixture.bytes, format: format, rows: fixture.rows)
    }
    for instructions in InstructionSet.available {
      let together = fixture.multiply(x, instructions)
      expectSameBits(together, Array(expected.joined()), "\(instructions.name), three rows")
      let alone = fixture.multiply(Array(rows[0]), instructions)
      expectSameBits(alone, expected[0], "\(instructions.name), one row")
    }
  }

  @Test(arguments: formats, types)
  func `A row alone has the same bits as in any batch, on one or two threads`(
    format: TensorFormat, activations: ActivationType
  ) {
    let fixture = Fixture(format, rows: 200, columns: Self.columns, activations: activations)
    var random = SplitMix64(seed: 15)
    let x = random.floats(110 * Self.columns)
    let alone = (0..<110).map {
      fixture.multiply(Array(x[$0 * Self.columns..<($0 + 1) * Self.columns]))
    }
    for batch in [2, 3, 4, 5, 6, 7, 13, 16, 17, 110] {
      for threads in [MatrixProductTests.single, MatrixProductTests.threads] {
        let out = fixture.multiply(Array(x[((110 - batch) * Self.columns)...]), on: threads)
        expectSameBits(out, Array(alone[(110 - batch)...].joined()), "batch of \(batch)")
      }
    }
  }

  @Test(arguments: formats, types)
  func `The greatest integers do not overflow`(format: TensorFormat, activations: ActivationType) {
    let scale: [UInt8] = [0, 0x3c]  // 1
    let zero: [UInt8] = format == .q4_1 ? [0, 0] : []
    for quants: UInt8 in [0xff, 0x80, 0x7f, 0] {
      let block = scale + zero + [UInt8](repeating: quants, count: format == .q8_0 ? 32 : format == .q5_0 ? 20 : 16)
      let matrix = PackedMatrix(
        packing: block, format: format, rows: 1, columns: 32, activations: activations,
        threads: MatrixProductTests.single)
      for (sign, instructions) in [1, -1].flatMap({ sign in InstructionSet.available.map { (sign as Float, $0) } }) {
        let x = [Float](repeating: sign * activations.greatest, count: 32)
        var out: Float = 0
        matrix.multiply(
          x, rows: 1, into: &out, quantized: QuantizedRows(), threads: MatrixProductTests.single, on: instructions)
        let expected = referenceIntegerProduct(x, greatest: activations.greatest, block, format: format, rows: 1)
        #expect(out == expected[0], "\(quants), \(sign), \(instructions.name)")
      }
    }
  }

  @Test(arguments: InstructionSet.available, types)
  func `Blocks of zeros and of next to nothing are zeros`(instructions: InstructionSet, activations: ActivationType) {
    let fixture = Fixture(.q4_1, rows: 16, columns: 64, activations: activations)
    let x = [Float](repeating: 0, count: 32) + [Float](repeating: 0x1p-140, count: 32)
    #expect(fixture.multiply(x, instructions).allSatisfy { $0 == 0 })
  }

  @Test(arguments: TensorFormat.allCases)
  func `A format without products of a type takes the next that it has`(format: TensorFormat) {
    let int16: ActivationType = Self.int16Formats.contains(format) ? .int16 : .float32
    let expected: [ActivationType: ActivationType] = [
      .float32: .float32, .int16: int16, .int8: Self.formats.contains(format) ? .int8 : int16,
    ]
    for (asked, found) in expected {
      #expect(Fixture(format, rows: 33, columns: 256, activations: asked).matrix.activations == found, "\(asked)")
    }
  }

  @Test(arguments: int16Formats)
  func `In int16 a product is that of the file's numbers, alone and in a batch, on every instruction set`(
    format: TensorFormat
  ) {
    let fixture = Fixture(format, rows: 67, columns: 512, activations: .int16)
    var random = SplitMix64(seed: 18)
    let x = random.floats(7 * 512)
    let weights = referenceDequantize(fixture.bytes, format: format)
    let together = fixture.multiply(x, .portable)
    for (index, found) in together.enumerated() {
      let (row, output) = index.quotientAndRemainder(dividingBy: 67)
      let terms = (0..<512).map { Double(x[row * 512 + $0]) * Double(weights[output * 512 + $0]) }
      #expect(abs(Double(found) - terms.reduce(0, +)) <= 4e-5 * terms.reduce(0) { $0 + abs($1) })
    }
    for instructions in InstructionSet.available {
      expectSameBits(fixture.multiply(x, instructions), together, "\(instructions.name), seven rows")
      let alone = (0..<7).flatMap { fixture.multiply(Array(x[$0 * 512..<($0 + 1) * 512]), instructions) }
      expectSameBits(alone, together, "\(instructions.name), row by row")
    }
  }

  @Test func `Matrices of several formats and types in one region give what each gives alone`() {
    let fixtures = [(TensorFormat.q4_1, 64, ActivationType.int8), (.f16, 17, .int8), (.q8_0, 40, .int16)].map {
      Fixture($0.0, rows: $0.1, columns: 96, activations: $0.2)
    }
    var random = SplitMix64(seed: 17)
    let x = random.floats(5 * 96)
    let outs = fixtures.map { UnsafeMutablePointer<Float>.allocate(capacity: 5 * $0.rows) }
    defer { outs.forEach { $0.deallocate() } }
    multiply(
      x, rows: 5, by: zip(fixtures.map(\.matrix), outs).map { ($0, $1) }, quantized: QuantizedRows(),
      threads: MatrixProductTests.threads)
    for (fixture, out) in zip(fixtures, outs) {
      let together = Array(UnsafeBufferPointer(start: out, count: 5 * fixture.rows))
      expectSameBits(together, fixture.multiply(x))
    }
  }
}

extension ActivationType {
  /// The quant of a block's greatest number.
  fileprivate var greatest: Float { self == .int8 ? 127 : 32_767 }
}
