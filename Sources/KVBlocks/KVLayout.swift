/// How the keys and values of a model lie in a KV block.
///
/// A block holds `blockSize` tokens of every layer and is contiguous: `[layer][K, V][kvHead][slot][headDim]`.
/// Two workers may exchange blocks only if their layouts are equal.
package struct KVLayout: Hashable, Sendable {
  /// How one number is stored; the raw value is that of `--kv-cache-dtype`.
  package enum ElementType: String, CaseIterable, Sendable {
    case f16
    case f32
    /// ggml's Q8_0: blocks of 32 numbers, each with a scale in half precision.
    case q8_0

    /// A head is a multiple of so many elements.
    package var blockElements: Int { self == .q8_0 ? 32 : 1 }

    func bytes(of count: Int) -> Int {
      switch self {
      case .f16: 2 * count
      case .f32: 4 * count
      case .q8_0: 34 * (count / 32)
      }
    }
  }

  package let layers: Int
  package let kvHeads: Int
  package let headDim: Int
  package let elementType: ElementType
  /// Tokens per block.
  package let blockSize: Int

  package init(layers: Int, kvHeads: Int, headDim: Int, elementType: ElementType = .f16, blockSize: Int = 16) {
    precondition(layers > 0 && kvHeads > 0 && headDim > 0 && blockSize > 0)
    precondition(headDim % elementType.blockElements == 0)
    self.layers = layers
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.elementType = elementType
    self.blockSize = blockSize
  }

  /// Bytes of one KV head's keys (or values) in one layer of a block: `[slot][headDim]`.
  package var bytesPerHead: Int { blockSize * elementType.bytes(of: headDim) }
  /// Bytes of all keys (or all values) in one layer of a block; the values follow the keys.
  package var bytesPerPlane: Int { kvHeads * bytesPerHead }
  package var bytesPerLayer: Int { 2 * bytesPerPlane }
  package var bytesPerBlock: Int { layers * bytesPerLayer }

  package func blocks(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }
}

extension KVLayout: CustomStringConvertible {
  package var description: String {
    "\(layers) layers × \(kvHeads) KV heads × \(headDim), \(elementType.rawValue), blocks of \(blockSize) tokens"
  }
}
