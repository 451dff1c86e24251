import HTTPServer
import NIOHTTP1

/// Whom the proxy lets in: keys that it was started with, and those of a file that may change.
final class ClientKeys: Sendable {
  private let fixed: APIKeys
  private let file: WatchedFiles<APIKeys>?

  /// - Throws: `APIKeyFileError`.
  init(_ keys: [String], file: String?) throws {
    fixed = APIKeys(keys)
    self.file = try file.map { path in try WatchedFiles([path]) { try APIKeys(file: path) } }
  }

  /// Whether everybody is let in.
  var isEmpty: Bool { fixed.isEmpty && file == nil }

  func accept(_ headers: HTTPHeaders) -> Bool {
    guard !isEmpty else { return true }
    let authorization = headers.authorization
    // Neither answer ends the other's comparison.
    let isOfFile = file.map { $0.value.accept(authorization: authorization) } ?? false
    return !fixed.isEmpty && fixed.accept(authorization: authorization) || isOfFile
  }

  /// Blocks while the file is read.
  func refresh() throws -> Bool { try file?.refresh() ?? false }
}
