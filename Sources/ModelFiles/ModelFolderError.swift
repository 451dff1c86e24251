import Glibc

/// Why a folder is no Hugging Face model that we can read.
package enum ModelFolderError: Error, Equatable {
  case unreadable(path: String, call: String, errno: Int32)
  case notARegularFile(path: String)
  case invalidJSON(path: String, offset: Int)
  /// A field that is missing, or of another kind.
  case invalidField(path: String, field: String, expected: String)
  case damagedWeights(path: String, problem: String)
  case duplicateTensor(String, path: String)
  /// What the model needs and we have not, in words: `weights quantised by "gptq"`.
  case unsupported(path: String, feature: String)
}

extension ModelFolderError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unreadable(let path, let call, let code):
      "cannot read \(path): \(call): \(String(cString: strerror(code))). A model's folder has config.json, "
        + "tokenizer.json and *.safetensors."
    case .notARegularFile(let path): "cannot read \(path): it is not a regular file."
    case .invalidJSON(let path, let offset): "cannot read \(path): at byte \(offset) it is no JSON. Fetch it again."
    case .invalidField(let path, let field, let expected): "\(path): \(field) must be \(expected)."
    case .damagedWeights(let path, let problem):
      "cannot read \(path): \(problem). The download may be incomplete: fetch it again."
    case .duplicateTensor(let name, let path): "\(path): tensor \(name) occurs twice. Fetch the folder again."
    case .unsupported(let path, let feature): "\(path): the model needs \(feature), which xpyd does not have."
    }
  }
}
