import KVBlocks
import ModelFiles

/// Why a model file that is valid GGUF is no model that we can run.
package enum ModelError: Error, Equatable {
  /// `general.architecture` as the file has it.
  case unsupportedArchitecture(String?)
  case missingMetadata(key: String)
  case invalidMetadata(key: String, found: String, expected: String)
  /// What the model needs and we have not, in words: `rope scaling "yarn"`.
  case unsupportedFeature(String)
  case missingTensor(name: String, expected: [Int])
  /// Shapes fastest first, as the file and `inspect` have them.
  case misshapenTensor(name: String, found: [Int], expected: [Int])
  case unsupportedTensorType(name: String, type: String)
  case contextTooLong(requested: Int, limit: Int)
  case invalidContext(Int)
  /// Heads that are not whole blocks of the KV cache's type.
  case unsuitableKVCache(KVLayout.ElementType, headDim: Int)

  /// A fixed word for metrics.
  package var label: String {
    switch self {
    case .unsupportedArchitecture: "unsupported_architecture"
    case .missingMetadata: "missing_metadata"
    case .invalidMetadata: "invalid_metadata"
    case .unsupportedFeature: "unsupported_feature"
    case .missingTensor: "missing_tensor"
    case .misshapenTensor: "misshapen_tensor"
    case .unsupportedTensorType: "unsupported_tensor_type"
    case .contextTooLong: "context_too_long"
    case .invalidContext: "invalid_context"
    case .unsuitableKVCache: "unsuitable_kv_cache"
    }
  }
}

extension ModelError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unsupportedArchitecture(let name):
      "the model's architecture is \(name ?? "not stated"); those that run are "
        + Architecture.all.map(\.name).joined(separator: ", ") + "."
    case .missingMetadata(let key): "the model file has no \(key). Convert it again with a current converter."
    case .invalidMetadata(let key, let found, let expected):
      "the model file's \(key) is \(found), and must be \(expected)."
    case .unsupportedFeature(let feature): "the model needs \(feature), which xpyd cannot compute yet."
    case .missingTensor(let name, let expected):
      "the model file has no tensor \(name) of shape \(expected). Is it only a part of the model?"
    case .misshapenTensor(let name, let found, let expected):
      "tensor \(name) has shape \(found), and the metadata asks for \(expected)."
    case .unsupportedTensorType(let name, let type):
      "\(type) is not supported (tensor \(name)). Take a file in one of "
        + "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K."
    case .contextTooLong(let requested, let limit):
      "a context of \(requested) tokens was asked for, and the model's limit is \(limit). Lower --max-model-len."
    case .invalidContext(let requested): "a context of \(requested) tokens was asked for: it must be at least 1."
    case .unsuitableKVCache(let type, let headDim):
      "a KV cache in \(type.rawValue) has blocks of \(type.blockElements) numbers, and the model's heads have \(headDim). "
        + "Take --kv-cache-dtype f16."
    }
  }
}
