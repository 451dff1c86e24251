/// A GGUF file (version 2 or 3), mapped and checked: every tensor's bytes lie inside the file and overlap no other's.
///
/// Source: docs/gguf.md of ggml-org/ggml.
package final class GGUFFile: ModelFile {
  package let version: Int
  package let header: ModelHeader
  /// Magic, metadata and tensor table, with the padding after them.
  package let headerRange: Range<Int>
  private let mapping: MappedFile

  package init(path: String) throws(GGUFError) {
    let mapping = try MappedFile(path: path)
    var header = GGUFHeaderParser(file: mapping)
    try header.parse()
    self.mapping = mapping
    self.version = header.version
    self.header = ModelHeader(
      path: path, byteCount: mapping.bytes.count, metadata: header.metadata, tensors: header.tensors, isOriginal: false)
    self.headerRange = 0..<header.dataOffset
  }

  package var headerBytes: [UnsafeRawBufferPointer] { [bytes(in: headerRange)] }

  package func bytes(of tensor: GGUFTensor) -> UnsafeRawBufferPointer { bytes(in: tensor.byteRange) }

  package func releasePages() { mapping.releasePages() }

  private func bytes(in range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping.bytes[range])
  }
}
