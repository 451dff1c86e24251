import KVBlocks

/// How much of a prompt's KV is there: of each layer, how many of the prompt's blocks. A chunk of the prompt goes through the
/// layers one after the other, so the first layers are a chunk ahead of the last.
package struct KVProgress: Sendable, Equatable {
  /// Of each layer: the prompt's first so many blocks are there.
  package private(set) var blocks: [Int]
  /// Of the whole prompt.
  package let total: Int

  package init(layers: Int, total: Int) {
    blocks = Array(repeating: 0, count: layers)
    self.total = total
  }

  package var isComplete: Bool { blocks.allSatisfy { $0 == total } }

  /// - Returns: How many blocks of the layer are new.
  package mutating func advance(_ layer: Int, to count: Int) -> Int {
    let fresh = max(0, min(count, total) - blocks[layer])
    blocks[layer] += fresh
    return fresh
  }

  /// The next that `there` has and this has not; nil if that is nothing.
  /// - Parameter limit: Of pieces; at least 1.
  package func next(toward there: KVProgress, atMost limit: Int) -> KVPieces? {
    guard let first = blocks.indices.first(where: { blocks[$0] < there.blocks[$0] }) else { return nil }
    let count = min(there.blocks[first] - blocks[first], limit)
    var end = first + 1
    while end < blocks.count, blocks[end] == blocks[first], there.blocks[end] == there.blocks[first],
      (end + 1 - first) * count <= limit
    {
      end += 1
    }
    return KVPieces(layers: first..<end, blocks: blocks[first]..<blocks[first] + count)
  }

  /// - Returns: False if the pieces do not follow on what is there; they may come from outside.
  package mutating func add(_ pieces: KVPieces) -> Bool {
    guard !pieces.layers.isEmpty, !pieces.blocks.isEmpty, pieces.layers.lowerBound >= 0,
      pieces.layers.upperBound <= blocks.count, pieces.blocks.upperBound <= total,
      pieces.layers.allSatisfy({ blocks[$0] == pieces.blocks.lowerBound })
    else { return false }
    for layer in pieces.layers { blocks[layer] = pieces.blocks.upperBound }
    return true
  }
}

/// Some layers of some blocks of a prompt. A piece is one layer of one block; they go layer by layer, in the prompt's order.
package struct KVPieces: Sendable, Equatable {
  package var layers: Range<Int>
  package var blocks: Range<Int>

  package init(layers: Range<Int>, blocks: Range<Int>) {
    self.layers = layers
    self.blocks = blocks
  }

  /// What `bytes` says of each piece, by layer and place in the prompt.
  func map<Part>(_ bytes: (Int, Int) -> Part) -> [Part] {
    layers.flatMap { layer in blocks.map { bytes(layer, $0) } }
  }
}

extension KVLayout {
  /// So many that a PIECES frame announces about 1 MiB: smaller ones move at a fraction of the rate, and larger ones keep the
  /// receiver waiting.
  var piecesPerFrame: Int { max(1, (1 << 20) / bytesPerLayer) }

  /// Where a layer lies in a block's bytes.
  func bytes(ofLayer layer: Int) -> Range<Int> { layer * bytesPerLayer..<(layer + 1) * bytesPerLayer }
}

extension KVMemory {
  /// One piece.
  func bytes(of block: KVBlockID, layer: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: bytes(of: block)[layout.bytes(ofLayer: layer)])
  }
}
