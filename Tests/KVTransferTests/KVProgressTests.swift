import KVTransfer
import TestSupport
import Testing

struct KVProgressTests {
  private func progress(_ blocks: [Int], of total: Int) -> KVProgress {
    var progress = KVProgress(layers: blocks.count, total: total)
    for (layer, count) in blocks.enumerated() { _ = progress.advance(layer, to: count) }
    return progress
  }

  @Test(
    arguments: [
      // Nothing new.
      ([0, 0], [0, 0], 9, nil), ([3, 1], [3, 1], 9, nil),
      // A first layer, and layers that came together.
      ([0, 0, 0], [3, 0, 0], 9, KVPieces(layers: 0..<1, blocks: 0..<3)),
      ([0, 0, 0], [3, 3, 0], 9, KVPieces(layers: 0..<2, blocks: 0..<3)),
      ([3, 1, 1], [3, 3, 3], 9, KVPieces(layers: 1..<3, blocks: 1..<3)),
      // Layers that are not equally far go one after the other.
      ([2, 1, 1], [3, 3, 3], 9, KVPieces(layers: 0..<1, blocks: 2..<3)),
      // No more than the limit: of the layers, then of the blocks.
      ([0, 0, 0], [4, 4, 4], 9, KVPieces(layers: 0..<2, blocks: 0..<4)),
      ([0, 0, 0], [4, 4, 4], 3, KVPieces(layers: 0..<1, blocks: 0..<3)),
    ] as [([Int], [Int], Int, KVPieces?)])
  func `What is next is the first layers that others are behind in, and no more than fits`(
    have: [Int], there: [Int], limit: Int, next: KVPieces?
  ) {
    #expect(progress(have, of: 4).next(toward: progress(there, of: 4), atMost: limit) == next)
  }

  @Test(arguments: [
    (KVPieces(layers: 0..<1, blocks: 2..<3), true), (KVPieces(layers: 1..<3, blocks: 1..<4), true),
    // Again, with a gap, of layers that are not equally far, too many, none.
    (KVPieces(layers: 0..<1, blocks: 1..<3), false), (KVPieces(layers: 1..<2, blocks: 2..<3), false),
    (KVPieces(layers: 0..<2, blocks: 2..<3), false), (KVPieces(layers: 0..<1, blocks: 2..<5), false),
    (KVPieces(layers: 2..<4, blocks: 1..<2), false), (KVPieces(layers: 3..<3, blocks: 0..<1), false),
    (KVPieces(layers: 0..<1, blocks: 2..<2), false),
    (KVPieces(layers: 4_294_967_295..<8_589_934_590, blocks: 0..<1), false),
  ])
  func `Pieces must follow on what is there`(pieces: KVPieces, isNext: Bool) {
    var have = progress([2, 1, 1], of: 4)
    #expect(have.add(pieces) == isNext)
    #expect((have == progress([2, 1, 1], of: 4)) == !isNext)
  }

  @Test func `Whatever the chunks and the limit, every piece goes once`() {
    var dice = SplitMix64(seed: 7)
    for _ in 0..<300 {
      let (layers, total) = (Int.random(in: 1...5, using: &dice), Int.random(in: 0...9, using: &dice))
      var there = KVProgress(layers: layers, total: total)
      var have = there
      var pieces = 0
      while !have.isComplete {
        _ = there.advance(Int.random(in: 0..<layers, using: &dice), to: Int.random(in: 0...total, using: &dice))
        let limit = Int.random(in: 1...7, using: &dice)
        while let next = have.next(toward: there, atMost: limit) {
          #expect(have.add(next) && next.layers.count * next.blocks.count <= limit)
          pieces += next.layers.count * next.blocks.count
        }
      }
      #expect(pieces == layers * total)
    }
  }
}
