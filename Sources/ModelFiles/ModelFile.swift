/// A model on disk, mapped: a GGUF file, or a Hugging Face folder, which reads as the GGUF file that a converter would
/// make of it.
///
/// The mapping follows the files: nobody may write to them or cut them while this object lives.
package protocol ModelFile: AnyObject, Sendable {
  var header: ModelHeader { get }

  /// What `header` was read from: two models that differ in more than their weights differ here. Valid as long as this
  /// object.
  var headerBytes: [UnsafeRawBufferPointer] { get }

  /// Valid as long as this object.
  /// - Precondition: the tensor is one of this model's.
  func bytes(of tensor: GGUFTensor) -> UnsafeRawBufferPointer

  /// Lets the system have the memory of what was read so far; it comes back, from the system's cache, when it is read.
  func releasePages()
}

/// What a model on disk says of itself.
package struct ModelHeader: Sendable {
  package let path: String
  /// Of all its files of weights.
  package let byteCount: Int
  package let metadata: GGUFMetadata
  /// In file order, under GGUF's names.
  package let tensors: [GGUFTensor]
  /// Weights are as their authors' library has them: no rows reordered, nothing added to norms.
  package let isOriginal: Bool
  private let tensorIndex: [String: Int]

  /// - Precondition: no two tensors have the same name.
  init(path: String, byteCount: Int, metadata: GGUFMetadata, tensors: [GGUFTensor], isOriginal: Bool) {
    self.path = path
    self.byteCount = byteCount
    self.metadata = metadata
    self.tensors = tensors
    self.isOriginal = isOriginal
    tensorIndex = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($1.name, $0) })
  }

  package func tensor(named name: String) -> GGUFTensor? { tensorIndex[name].map { tensors[$0] } }
}

extension ModelFile {
  package var path: String { header.path }
  package var byteCount: Int { header.byteCount }
  package var metadata: GGUFMetadata { header.metadata }
  package var tensors: [GGUFTensor] { header.tensors }

  package func tensor(named name: String) -> GGUFTensor? { header.tensor(named: name) }
}
