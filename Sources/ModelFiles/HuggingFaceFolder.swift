import Glibc

/// A folder as `save_pretrained` writes it: config.json, tokenizer.json, and weights in one .safetensors or in several
/// with an index. Its tensors have GGUF's names, and its configuration GGUF's keys.
package final class HuggingFaceFolder: ModelFile {
  package let header: ModelHeader
  private let shards: [SafetensorsFile]
  private let configuration: MappedFile

  package init(path: String) throws(ModelFolderError) {
    let configPath = "\(path)/config.json"
    configuration = try MappedFile.ofModelFolder(configPath)
    let config = ConfigurationTranslation(
      config: try configuration.json(), path: configPath)
    let metadata = try config.metadata()
    shards = try Self.shardPaths(in: path).map { path throws(ModelFolderError) in try SafetensorsFile(path: path) }
    let names = TensorNames(of: shards.lazy.flatMap(\.tensors).map(\.name), tiesOutput: config.tiesOutput)
    var tensors: [GGUFTensor] = []
    var seen: Set<String> = []
    for (index, shard) in shards.enumerated() {
      for tensor in shard.tensors {
        guard let name = names.name(of: tensor.name) else { continue }
        guard seen.insert(name).inserted else { throw .duplicateTensor(name, path: shard.mapping.path) }
        tensors.append(
          GGUFTensor(
            name: name, type: tensor.type, dimensions: tensor.shape.reversed(), byteRange: tensor.byteRange,
            shard: index))
      }
    }
    header = ModelHeader(
      path: path, byteCount: shards.reduce(0) { $0 + $1.mapping.bytes.count }, metadata: metadata, tensors: tensors,
      isOriginal: true)
  }

  package var headerBytes: [UnsafeRawBufferPointer] {
    [configuration.bytes] + shards.map { UnsafeRawBufferPointer(rebasing: $0.mapping.bytes[$0.headerRange]) }
  }

  package func bytes(of tensor: GGUFTensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: shards[tensor.shard].mapping.bytes[tensor.byteRange])
  }

  package func releasePages() { for shard in shards { shard.mapping.releasePages() } }

  /// A document of the folder; nil if there is none.
  package func json(_ name: String) throws(ModelFolderError) -> JSONValue? {
    try optionalFile(name)?.json()
  }

  /// A text of the folder; nil if there is none.
  package func text(_ name: String) throws(ModelFolderError) -> String? {
    try optionalFile(name).map { file in
      withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
    }
  }

  private func optionalFile(_ name: String) throws(ModelFolderError) -> MappedFile? {
    do throws(ModelFolderError) {
      return try MappedFile.ofModelFolder("\(path)/\(name)")
    } catch {
      if case .unreadable(_, "open", ENOENT) = error { return nil }
      throw error
    }
  }

  /// Those of the index, in their names' order, or the one file.
  private static func shardPaths(in folder: String) throws(ModelFolderError) -> [String] {
    let path = "\(folder)/model.safetensors.index.json"
    guard access(path, F_OK) == 0 else { return ["\(folder)/model.safetensors"] }
    let index = try MappedFile.ofModelFolder(path).json()
    let names = Set((index["weight_map"]?.fields ?? []).compactMap(\.value.string))
    guard !names.isEmpty, names.allSatisfy({ !$0.contains("/") && !$0.contains("\0") }) else {
      throw .invalidField(path: path, field: "weight_map", expected: "the files of the tensors, in this folder")
    }
    return names.sorted().map { "\(folder)/\($0)" }
  }
}

/// Opens a folder or a GGUF file.
package func openModel(path: String) throws -> any ModelFile {
  var status = stat()
  if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return try HuggingFaceFolder(path: path) }
  return try GGUFFile(path: path)
}
