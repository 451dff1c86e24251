/// A GGUF file (version 2 or 3), mapped and checked: every tensor's bytes lie inside the file and overlap no other's.
///
/// The mapping follows the file: nobody may write to it or cut it while this object lives.
/// Source: docs/gguf.md of ggml-org/ggml.
package final class GGUFFile: Sendable {
  package let path: String
  package let version: Int
  package let metadata: GGUFMetadata
  /// In file order.
  package let tensors: [GGUFTensor]
  /// Magic, metadata and tensor table, with the padding after them.
  package let headerRange: Range<Int>
  private let mapping: MappedFile
  private let tensorIndex: [String: Int]

  package init(path: String) throws(GGUFError) {
    let mapping = try MappedFile(path: path)
    var header = GGUFHeaderParser(file: mapping)
    try header.parse()
    self.path = path
    self.mapping = mapping
    self.version = header.version
    self.metadata = header.metadata
    self.tensors = header.tensors
    self.headerRange = 0..<header.dataOffset
    self.tensorIndex = header.tensorIndex
  }

  package var byteCount: Int { mapping.bytes.count }

  package func tensor(named name: String) -> GGUFTensor? { tensorIndex[name].map { tensors[$0] } }

  /// Bytes of the mapping, valid as long as this object.
  /// - Precondition: `range` lies inside the file, as those of this file's tensors and header do.
  package func bytes(in range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping.bytes[range])
  }

  /// Lets the system have the memory of what was read so far; it comes back, from the system's cache, when it is read.
  package func releasePages() { mapping.releasePages() }

  package func bytes(of tensor: GGUFTensor) -> UnsafeRawBufferPointer { bytes(in: tensor.byteRange) }
}
