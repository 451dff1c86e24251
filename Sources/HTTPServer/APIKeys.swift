/// The keys that clients may present as `Authorization: Bearer KEY`.
package struct APIKeys: Sendable {
  private let keys: [[UInt8]]

  /// - Parameter keys: Empty: everybody is let in.
  package init(_ keys: [String]) {
    self.keys = keys.filter { !$0.isEmpty }.map { Array($0.utf8) }
  }

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
