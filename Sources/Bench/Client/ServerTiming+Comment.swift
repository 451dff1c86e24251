import ServingAPI

extension ServerTiming {
  /// Of a request: `1` asks xpyd's proxy to end its stream with a comment that begins with this name.
  static let fieldName = "x-xpyd-timing"

  /// - Parameter comment: Of an event stream, without its colon: ` x-xpyd-timing {…}`.
  /// - Returns: nil if it is no timing.
  init?(comment: UnsafeRawBufferPointer) {
    let start = Array(" \(Self.fieldName) ".utf8)
    guard comment.starts(with: start), let json = try? BodyParser.parse(Array(comment.dropFirst(start.count))) else {
      return nil
    }
    self.init(json)
  }
}
