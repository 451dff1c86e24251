/// Where one tensor lies in a GGUF file. `GGUFFile.bytes(of:)` gives the bytes.
package struct GGUFTensor: Sendable, Equatable {
  package let name: String
  package let type: GGUFTensorType
  /// Fastest first, as the file has them: a matrix of `rows × columns` is `[columns, rows]`. 1 to 4, none zero.
  package let dimensions: [Int]
  /// From the start of the file.
  package let byteRange: Range<Int>
  /// Which of the model's files it is in.
  package var shard = 0

  package var elementCount: Int { dimensions.reduce(1, *) }
}
