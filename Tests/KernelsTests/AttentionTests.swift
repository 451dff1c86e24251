import Glibc
import Kernels
import TestSupport
import Testing

struct AttentionTests {
  /// A pool with the keys and values of a few sequences, whose blocks are strewn over it.
  final class Fixture {
    let heads: Int
    let kvHeads: Int
    let headDim: Int
    let length: Int
    let window: Int?
    let softcap: Float?
    let tables: [[Int32]]
    let queries: [[Float]]
    let keys: [[Float]]
    let values: [[Float]]
    let kv: PagedKV
    private let memory: UnsafeMutableRawPointer

    init(
      heads: Int = 6, kvHeads: Int = 2, headDim: Int = 64, length: Int, sequences: Int = 1, blockSize: Int = 16,
      elementType: PagedKV.ElementType = .f16, window: Int? = nil, softcap: Float? = nil
    ) {
      (self.window, self.softcap) = (window, softcap)
      (self.heads, self.kvHeads, self.headDim, self.length) = (heads, kvHeads, headDim, length)
      var random = SplitMix64(seed: UInt64(length * 1000 + headDim))
      let blocks = (length + blockSize - 1) / blockSize
      let order = (0..<Int32(blocks * sequences)).shuffled(using: &random)
      tables = (0..<sequences).map { Array(order[$0 * blocks..<($0 + 1) * blocks]) }
      queries = (0..<sequences).map { _ in random.floats(length * heads * headDim, in: -2...2) }
      keys = (0..<sequences).map { _ in random.floats(length * kvHeads * headDim, in: -2...2) }
      values = (0..<sequences).map { _ in random.floats(length * kvHeads * headDim) }
      // Two layers, of which the second is used. Bytes of 0xff are NaNs: slots that nobody wrote must not be read.
      let bytesPerHead =
        switch elementType {
        case .f16: 2 * headDim
        case .f32: 4 * headDim
        case .q8_0: 34 * headDim / 32
        }
      let layer = 2 * kvHeads * blockSize * bytesPerHead
      memory = .allocate(byteCount: 2 * layer * blocks * sequences, alignment: 64)
      memset(memory, 0xff, 2 * layer * blocks * sequences)
      kv = PagedKV(
        base: memory + layer, bytesPerBlock: 2 * layer, blockSize: blockSize, kvHeads: kvHeads, headDim: headDim,
        elementType: elementType)
      for sequence in 0..<sequences {
        withSequences([(sequence, 0..<length)]) {
          storeKV(keys: keys[sequence], values: values[sequence], sequences: $0, into: kv)
        }
      }
    }

    deinit { memory.deallocate() }

    /// The outputs of some positions of some sequences, in one batch.
    func attend(
      _ parts: [(sequence: Int, positions: Range<Int>)], threads: ThreadPool = MatrixProductTests.single,
      _ instructions: InstructionSet = .best
    ) -> [Float] {
      let width = heads * headDim
      let rows = parts.flatMap {
        queries[$0.sequence][$0.positions.lowerBound * width..<$0.positions.upperBound * width]
      }
      var out = [Float](repeating: .nan, count: rows.count)
      withSequences(parts) {
        Kernels.attend(
          queries: rows, sequences: $0, kv: kv, heads: heads, scale: 1 / Float(headDim).squareRoot(), window: window,
          softcap: softcap, out: &out, threads: threads, on: instructions)
      }
      return out
    }

    private func withSequences(_ parts: [(sequence: Int, positions: Range<Int>)], _ body: ([AttentionSequence]) -> Void)
    {
      let flat = parts.flatMap { tables[$0.sequence] }
      flat.withUnsafeBufferPointer { flat in
        var row = 0, sequences: [AttentionSequence] = []
        for (index, part) in parts.enumerated() {
          sequences.append(
            AttentionSequence(
              rows: row..<row + part.positions.count, startPosition: part.positions.lowerBound,
              blockTable: flat.baseAddress! + index * tables[0].count))
          row += part.positions.count
        }
        body(sequences)
      }
    }

    /// What the pool keeps of a head's numbers.
    private func stored(_ head: ArraySlice<Float>) -> [Double] {
      switch kv.elementType {
      case .f32: head.map(Double.init)
      case .f16: head.map { Double(Float16($0)) }
      case .q8_0:
        stride(from: head.startIndex, to: head.endIndex, by: 32).flatMap { first in
          let block = head[first..<first + 32]
          let scale = block.map(abs).max()! / 127
          return block.map { Double(($0 * (1 / scale)).rounded()) * Double(Float16(scale)) }
        }
      }
    }

    /// Softmax attention in double precision, of one position of the first sequence.
    func reference(position: Int) -> [Double] {
      (0..<heads).flatMap { head in
        let row = { (array: [Float], p: Int) in
          let start = (p * self.kvHeads + head / (self.heads / self.kvHeads)) * self.headDim
          return self.stored(array[start..<start + self.headDim])
        }
        let query = queries[0][(position * heads + head) * headDim..<(position * heads + head + 1) * headDim].map(
          Double.init)
        let seen = max(0, position - (window ?? length) + 1)...position
        let scores = seen.map { p in
          let score = zip(query, row(keys[0], p)).reduce(0) { $0 + $1.0 * $1.1 } / Double(headDim).squareRoot()
          return softcap.map { Double($0) * tanh(score / Double($0)) } ?? score
        }
        let peak = scores.max()!
        let weights = scores.map { exp($0 - peak) }
        let total = weights.reduce(0, +)
        var sum = [Double](repeating: 0, count: headDim)
        for (p, weight) in zip(seen, weights) {
          for (d, value) in row(values[0], p).enumerated() { sum[d] += weight / total * value }
        }
        return sum
      }
    }
  }

  @Test(arguments: [(64, 16), (128, 32), (8, 16), (72, 16), (64, 8), (40, 5)], InstructionSet.available)
  func `Attention is softmax attention over the stored positions`(
    shape: (headDim: Int, blockSize: Int), instructions: InstructionSet
  ) {
    let elementTypes: [PagedKV.ElementType] = shape.headDim % 32 == 0 ? [.f16, .f32, .q8_0] : [.f16, .f32]
    for elementType in elementTypes {
      let fixture = Fixture(
        headDim: shape.headDim, length: 300, blockSize: shape.blockSize, elementType: elementType)
      let out = fixture.attend([(0, 0..<300)], instructions)
      let width = fixture.heads * fixture.headDim
      for position in [0, 1, 15, 16, 63, 64, 255, 256, 299] {
        let row = out[position * width..<(position + 1) * width]
        let error = zip(row, fixture.reference(position: position)).map { abs(Double($0) - $1) }.max()!
        #expect(error < 2e-6, "position \(position), \(elementType)")
      }
    }
  }

  @Test(arguments: [(1, nil), (100, nil), (64, 3), (260, 3), (nil, 3)] as [(Int?, Float?)], InstructionSet.available)
  func `A window hides what lies before it, and a softcap bends the scores`(
    rule: (window: Int?, softcap: Float?), instructions: InstructionSet
  ) {
    let fixture = Fixture(length: 600, window: rule.window, softcap: rule.softcap)
    let out = fixture.attend([(0, 0..<600)], instructions)
    let width = fixture.heads * fixture.headDim
    for position in [0, 1, 63, 64, 99, 100, 255, 256, 300, 511, 599] {
      let row = out[position * width..<(position + 1) * width]
      let error = zip(row, fixture.reference(position: position)).map { abs(Double($0) - $1) }.max()!
      #expect(error < 4e-6, "position \(position)")
    }
  }

  struct Shape: Sendable {
    var heads: Int
    var kvHeads: Int
    var headDim: Int
    var elementType = PagedKV.ElementType.f16
    var window: Int?
    var softcap: Float?
  }

  @Test(arguments: [
    Shape(heads: 9, kvHeads: 3, headDim: 64), Shape(heads: 8, kvHeads: 8, headDim: 64),
    Shape(heads: 14, kvHeads: 2, headDim: 64), Shape(heads: 4, kvHeads: 2, headDim: 128),
    Shape(heads: 6, kvHeads: 2, headDim: 40), Shape(heads: 9, kvHeads: 3, headDim: 64, elementType: .q8_0),
    Shape(heads: 9, kvHeads: 3, headDim: 64, elementType: .f32),
    Shape(heads: 8, kvHeads: 2, headDim: 64, window: 70), Shape(heads: 4, kvHeads: 2, headDim: 64, window: 300),
    Shape(heads: 4, kvHeads: 2, headDim: 40, window: 33, softcap: 5),
    Shape(heads: 4, kvHeads: 2, headDim: 256, window: 129, softcap: 50),
  ])
  func `A row has the same bits in any chunk, batch and number of threads`(shape: Shape) {
    let (heads, headDim) = (shape.heads, shape.headDim)
    let fixture = Fixture(
      heads: heads, kvHeads: shape.kvHeads, headDim: headDim, length: 530, sequences: 2, elementType: shape.elementType,
      window: shape.window, softcap: shape.softcap)
    let width = heads * headDim
    let whole = (0..<2).map { fixture.attend([($0, 0..<530)], threads: MatrixProductTests.threads) }
    let cuts = [0, 1, 16, 100, 101, 256, 300, 303, 512, 530]
    for (start, end) in zip(cuts, cuts.dropFirst()) {
      expectSameBits(fixture.attend([(0, start..<end)]), whole[0][start * width..<end * width], "\(start)..<\(end)")
    }
    for position in [0, 15, 16, 63, 64, 255, 256, 511, 512, 529] {
      let expected = (0..<2).map { Array(whole[$0][position * width..<(position + 1) * width]) }
      let alone = fixture.attend([(0, position..<position + 1)], threads: MatrixProductTests.threads)
      expectSameBits(alone, expected[0], "position \(position)")
      let decodes = fixture.attend(
        [(1, position..<position + 1), (0, 0..<40), (0, position..<position + 1)], threads: MatrixProductTests.threads)
      expectSameBits(decodes.prefix(width), expected[1], "position \(position)")
      expectSameBits(decodes.suffix(width), expected[0], "position \(position)")
    }
  }

  @Test func `All instruction sets give the same bits`() {
    for (headDim, blockSize, type) in [
      (64, 16, PagedKV.ElementType.f16), (24, 16, .f16), (128, 8, .f16), (64, 16, .q8_0), (64, 16, .f32),
    ] {
      let fixture = Fixture(headDim: headDim, length: 270, blockSize: blockSize, elementType: type)
      let portable = fixture.attend([(0, 0..<270)], .portable)
      for instructions in InstructionSet.available {
        expectSameBits(fixture.attend([(0, 0..<270)], instructions), portable, "\(instructions.name), \(headDim)")
      }
    }
  }
}
