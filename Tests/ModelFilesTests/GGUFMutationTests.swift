import ModelFiles
import TestSupport
import Testing

/// Files that somebody spoilt, from a seed: each opens or is an error, and what opens can be read to its last byte.
@Suite struct GGUFMutationTests {
  @Test func `600 mutations of a small file do no harm`() throws {
    var writer = TinyModel().writer()
    writer.add("nested", .array([.array([.string("a"), .string("b")]), .array([.string("c")])]))
    writer.add("floats", .array([.float32(1), .float32(2)]))
    let original = writer.bytes()
    let good = writer.write()
    let header = try GGUFFile(path: good.path).headerRange.upperBound
    try mutate(original, headerBytes: header, times: 600, seed: 1)
  }

  @Test func `180 mutations of the reference model's header do no harm`() throws {
    let gguf = try GGUFFile(path: try referenceModelPath())
    let header = Array(gguf.bytes(in: gguf.headerRange))
    try mutate(header, headerBytes: header.count, times: 50, seed: 2)
    // The vocabulary is nearly all of the header, and what can break most lies around it.
    try mutate(header, headerBytes: 1500, times: 80, seed: 3)
    var tail = SplitMix64(seed: 4)
    for _ in 0..<50 {
      var spoilt = header
      spoil(&spoilt, in: header.count - 16_000..<header.count, &tail)
      readEverything(spoilt)
    }
  }

  private func mutate(_ original: [UInt8], headerBytes: Int, times: Int, seed: UInt64) throws {
    var dice = SplitMix64(seed: seed)
    for _ in 0..<times {
      var bytes = original
      for _ in 0...Int.random(in: 0..<3, using: &dice) { spoil(&bytes, in: 0..<min(headerBytes, bytes.count), &dice) }
      readEverything(bytes)
    }
  }

  /// One change somewhere in `range`: a flipped bit, a wild number, noise, a cut, or bytes taken out.
  private func spoil(_ bytes: inout [UInt8], in range: Range<Int>, _ dice: inout SplitMix64) {
    guard range.count > 16 else { return }
    let at = Int.random(in: range.lowerBound..<range.upperBound - 8, using: &dice)
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
    case 1: write([UInt64.max, 1 << 63, 1 << 32, 0, 1 << 61 + 1].randomElement(using: &dice)!, to: &bytes, at: at)
    case 2: write(UInt64.random(in: 0..<1000, using: &dice), to: &bytes, at: at)
    case 3: for index in at..<at + 8 { bytes[index] = UInt8.random(in: .min ... .max, using: &dice) }
    case 4: bytes.removeSubrange(at...)
    default: bytes.removeSubrange(at..<at + Int.random(in: 1..<8, using: &dice))
    }
  }

  private func write(_ value: UInt64, to bytes: inout [UInt8], at offset: Int) {
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + 8, with: $0) }
  }

  private func readEverything(_ bytes: [UInt8]) {
    let file = TemporaryFile(bytes)
    do {
      let gguf = try GGUFFile(path: file.path)
      for key in gguf.metadata.keys { #expect(!"\(gguf.metadata[key]!)".isEmpty) }
      var sum: UInt8 = 0
      for tensor in gguf.tensors { for byte in gguf.bytes(of: tensor) { sum &+= byte } }
      withExtendedLifetime(sum) {}
    } catch {
      #expect(error.offset <= bytes.count)
      #expect(!"\(error)".isEmpty)
    }
  }
}
