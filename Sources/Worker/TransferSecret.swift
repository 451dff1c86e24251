import Foundation

/// The secret that workers prove to each other before any KV moves.
package enum TransferSecret {
  private static let minimumLength = 16

  /// - Throws: `WorkerError.noSecret`.
  package static func read(_ path: String) throws(WorkerError) -> String {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw .noSecret(path: path, reason: "it cannot be read as text")
    }
    let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard secret.count >= minimumLength else { throw .noSecret(path: path, reason: "it is too short") }
    return secret
  }
}
