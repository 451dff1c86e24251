import Glibc

/// The keys that clients may present as `Authorization: Bearer KEY`.
package struct APIKeys: Sendable {
  private let keys: [[UInt8]]

  /// - Parameter keys: Empty: everybody is let in.
  package init(_ keys: [String]) {
    self.keys = keys.filter { !$0.isEmpty }.map { Array($0.utf8) }
  }

  /// Keys of a file, one a line; empty lines and those that begin with `#` are none.
  ///
  /// - Throws: `APIKeyFileError`; a file without a key would let everybody in.
  package init(file: String) throws(APIKeyFileError) {
    guard let text = Self.contents(of: file) else { throw .unreadable(file) }
    let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix { $0 == " " || $0 == "\t" } }
    let keys = lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }
    guard !keys.isEmpty else { throw .empty(file) }
    for key in keys where !key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) { throw .notAKey(file) }
    self.keys = keys.map { Array($0.utf8) }
  }

  package var isEmpty: Bool { keys.isEmpty }

  private static func contents(of file: String) -> String? {
    guard let handle = fopen(file, "r") else { return nil }
    defer { fclose(handle) }
    var bytes = [UInt8](repeating: 0, count: mostFileBytes)
    let count = fread(&bytes, 1, bytes.count, handle)
    return ferror(handle) == 0 ? String(validating: bytes[..<count], as: UTF8.self) : nil
  }

  private static let mostFileBytes = 1 << 20

  /// The time that this takes depends on the lengths only, never on how much of a key was right.
  package func accept(authorization: String?) -> Bool {
    guard !keys.isEmpty else { return true }
    guard let authorization, let space = authorization.firstIndex(of: " "),
      authorization[..<space].lowercased() == "bearer"
    else { return false }
    let given = Array(authorization[authorization.index(after: space)...].utf8)
    var isAccepted = false
    // No early exit: every key is compared.
    for key in keys where Self.areEqual(given, key) { isAccepted = true }
    return isAccepted
  }

  private static func areEqual(_ given: [UInt8], _ key: [UInt8]) -> Bool {
    var difference: UInt8 = given.count == key.count ? 0 : 1
    for (index, byte) in given.enumerated() { difference |= byte ^ key[index % key.count] }
    return difference == 0
  }
}

package enum APIKeyFileError: Error, Equatable, CustomStringConvertible {
  case unreadable(String)
  case empty(String)
  case notAKey(String)

  package var description: String {
    switch self {
    case .unreadable(let file): "The keys in \(file) cannot be read as text. Give one key a line."
    case .empty(let file): "\(file) holds no key, which would let everybody in. Give one key a line, or no file."
    case .notAKey(let file): "A line of \(file) is no key. A key is printable ASCII without spaces, alone on its line."
    }
  }
}
