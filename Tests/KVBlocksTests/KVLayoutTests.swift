import KVBlocks
import Testing

@Suite struct KVLayoutTests {
  let layout = KVLayout(layers: 30, kvHeads: 3, headDim: 64)

  @Test(arguments: [(0, 0), (1, 1), (15, 1), (16, 1), (17, 2), (32, 2)])
  func `Tokens round up to whole blocks`(tokens: Int, blocks: Int) {
    #expect(layout.blocks(forTokens: tokens) == blocks)
  }

  @Test func `A token of SmolLM2-135M takes 23,040 bytes in f16`() {
    #expect(layout.bytesPerBlock == 16 * 23_040)
    #expect(layout.bytesPerLayer * 30 == layout.bytesPerBlock)
    #expect(layout.bytesPerPlane * 2 == layout.bytesPerLayer)
    #expect(layout.bytesPerHead * 3 == layout.bytesPerPlane)
  }

  @Test func `In q8_0 it takes 34 bytes for 32 numbers, and is another layout`() {
    let q8 = KVLayout(layers: 30, kvHeads: 3, headDim: 64, elementType: .q8_0)
    #expect(q8.bytesPerBlock == 16 * 23_040 / 2 / 32 * 34)
    #expect(q8 != layout && "\(q8)".contains("q8_0"))
  }

  @Test func `Pool memory starts as zeros, and each block has its own bytes`() throws {
    let layout = KVLayout(layers: 1, kvHeads: 1, headDim: 2, elementType: .f32, blockSize: 4)
    let memory = try KVMemory(layout: layout, blockCount: 3)
    #expect(memory.bytes(of: KVBlockID(1)).allSatisfy { $0 == 0 })
    memory.bytes(of: KVBlockID(1)).copyBytes(from: repeatElement(7, count: layout.bytesPerBlock))
    #expect(memory.bytes(of: KVBlockID(0)).allSatisfy { $0 == 0 })
    #expect(memory.bytes(of: KVBlockID(1)).allSatisfy { $0 == 7 })
    #expect(memory.bytes(of: KVBlockID(2)).allSatisfy { $0 == 0 })
  }
}
