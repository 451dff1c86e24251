/// The name that a request bears from client to log: its `X-Request-Id`, or one drawn here.
struct RequestID: Sendable, Equatable {
  static let maximumLength = 128

  var text: String

  /// - Parameter given: A client's name for it. One that is long, or holds anything but visible ASCII, is not taken
  ///   over, since it goes into headers and logs.
  init(_ given: String?) {
    let isUsable = given.map { text in
      (1...Self.maximumLength).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
    text = isUsable == true ? given! : Self.random(digits: 16)
  }

  /// Lower-case hex.
  static func random(digits: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    return String((0..<digits).map { _ in "0123456789abcdef".randomElement(using: &generator)! })
  }
}
