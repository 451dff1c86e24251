import NIOCore

/// What one connection may cost the server. Beyond a size the request is refused; beyond a time the connection ends.
package struct HTTPLimits: Sendable {
  package var targetBytes = 8 * 1024
  package var headBytes = 64 * 1024
  package var headerFields = 100
  package var bodyBytes = 32 * 1024 * 1024
  /// From the first byte of a request to the end of its head.
  package var headTime: TimeAmount = .seconds(10)
  /// From the end of the head to the end of the body.
  package var bodyTime: TimeAmount = .seconds(60)
  /// Between two requests of a connection, and before its first.
  package var idleTime: TimeAmount = .seconds(75)
  /// How long a client may leave a full send buffer, or the end of its last response, unread.
  package var stallTime: TimeAmount = .seconds(120)
  /// From the last response's last byte to the end of the connection, if the client does not close it.
  package var lingerTime: TimeAmount = .seconds(2)

  package init() {}
}
