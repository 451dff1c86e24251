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

  @Test func `100 mutations of the reference model's header do no harm`() throws {
    let gguf = try GGUFFile(path: try referenceModelPath())
    let header = Array(gguf.headerBytes[0])
    try mutate(header, headerBytes: header.count, times: 30, seed: 2)
    // The vocabulary is nearly all of the header, and what can break most lies around it.
    try mutate(header, headerBytes: 1500, times: 50, seed: 3)
    var tail = SplitMix64(seed: 4)
    for _ in 0..<20 {
      var spoilt = header
      spoilt.spoil(in: header.count - 16_000..<header.count, using: &tail)
      readEverything(spoilt)
    }
  }

  private func mutate(_ original: [UInt8], headerBytes: Int, times: Int, seed: UInt64) throws {
    var dice = SplitMix64(seed: seed)
    for _ in 0..<times {
      var bytes = original
      for _ in 0...Int.random(in: 0..<3, using: &dice) { bytes.spoil(in: 0..<headerBytes, using: &dice) }
      readEverything(bytes)
    }
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
