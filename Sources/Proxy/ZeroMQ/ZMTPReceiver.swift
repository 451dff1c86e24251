import NIOCore

/// The receiving end of one ZeroMQ connection, as a value: bytes in, messages and what is to be sent out.
///
/// ZMTP 3.0 and 3.1 with the NULL mechanism, as a PULL socket, and no more of it: whoever is no PUSH socket, wants
/// credentials, or sends what is longer than a notice, is refused. Source: https://rfc.zeromq.org/spec/23/ and /37/.
package struct ZMTPReceiver: Sendable {
  package enum Event: Sendable, Equatable {
    case send(ByteBuffer)
    /// The parts of a message, joined.
    case message(ByteBuffer)
  }

  package enum Failure: Error, Sendable, Equatable {
    case notZMTP
    case version(major: UInt8)
    case mechanism
    case socketType
    case command
    case tooLong
  }

  private enum State {
    case greeting
    case handshake
    case messages(begun: ByteBuffer)
  }

  /// Of a message, and of a command.
  static let mostBytes = 4096
  private static let greetingBytes = 64
  private var state = State.greeting
  private var inbox = ByteBuffer()

  package init() {}

  /// What this end says first, before it has heard anything.
  package static var greeting: ByteBuffer {
    var out = ByteBuffer(bytes: [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1])
    out.writeStaticString("NULL")
    out.writeRepeatingByte(0, count: greetingBytes - out.readableBytes)
    return out
  }

  package var isConnected: Bool { if case .messages = state { true } else { false } }

  /// - Throws: What the peer is not; it is to be left.
  package mutating func take(_ bytes: ByteBuffer) throws(Failure) -> [Event] {
    inbox.writeImmutableBuffer(bytes)
    var events: [Event] = []
    if case .greeting = state {
      guard try readGreeting() else { return [] }
      state = .handshake
      events.append(.send(Self.command("READY", [("Socket-Type", "PULL")])))
    }
    while let frame = try nextFrame() {
      if let event = frame.isCommand ? try heard(command: frame.body) : try heard(part: frame) { events.append(event) }
    }
    inbox.discardReadBytes()
    return events
  }

  /// Refuses with the first byte that shows that the peer is no other.
  private mutating func readGreeting() throws(Failure) -> Bool {
    let bytes = inbox.readableBytesView
    guard bytes.first ?? 0xFF == 0xFF, bytes.dropFirst(9).first ?? 0x7F == 0x7F else { throw .notZMTP }
    guard bytes.count >= Self.greetingBytes else { return false }
    let major = bytes[bytes.startIndex + 10]
    guard major == 3 else { throw .version(major: major) }
    guard bytes.dropFirst(12).prefix(20).elementsEqual(Array("NULL".utf8) + Array(repeating: 0, count: 16)) else {
      throw .mechanism
    }
    inbox.moveReaderIndex(forwardBy: Self.greetingBytes)
    return true
  }

  // MARK: Frames

  private struct Frame {
    var hasMore: Bool
    var isCommand: Bool
    var body: ByteBuffer
  }

  private mutating func nextFrame() throws(Failure) -> Frame? {
    var ahead = inbox
    guard let flags = ahead.readInteger(as: UInt8.self) else { return nil }
    guard flags & 0b1111_1000 == 0, flags & 0b101 != 0b101 else { throw .notZMTP }
    let length = flags & 0b10 == 0 ? ahead.readInteger(as: UInt8.self).map(UInt64.init) : ahead.readInteger()
    guard let length else { return nil }
    guard length <= Self.mostBytes else { throw .tooLong }
    guard let body = ahead.readSlice(length: Int(length)) else { return nil }
    inbox = ahead
    return Frame(hasMore: flags & 1 != 0, isCommand: flags & 0b100 != 0, body: body)
  }

  private mutating func heard(part: Frame) throws(Failure) -> Event? {
    guard case .messages(var message) = state else { throw .command }
    guard message.readableBytes + part.body.readableBytes <= Self.mostBytes else { throw .tooLong }
    message.writeImmutableBuffer(part.body)
    state = .messages(begun: part.hasMore ? message : ByteBuffer())
    return part.hasMore ? nil : .message(message)
  }

  // MARK: Commands

  private mutating func heard(command body: ByteBuffer) throws(Failure) -> Event? {
    var body = body
    guard let length = body.readInteger(as: UInt8.self), let name = body.readString(length: Int(length)) else {
      throw .command
    }
    switch (name, state) {
    case ("READY", .handshake):
      guard try Self.properties(&body)["socket-type"] == "PUSH" else { throw .socketType }
      state = .messages(begun: ByteBuffer())
      return nil
    case ("PING", .messages):
      // Two bytes of how long the peer will wait, then what it wants to hear again.
      guard body.readInteger(as: UInt16.self) != nil, body.readableBytes <= 16 else { throw .command }
      var pong = Self.named("PONG")
      pong.writeImmutableBuffer(body)
      return .send(Self.frame(command: pong))
    case ("PONG", .messages): return nil
    default: throw .command
    }
  }

  /// Their names are alike in either case.
  private static func properties(_ body: inout ByteBuffer) throws(Failure) -> [String: String] {
    var found: [String: String] = [:]
    while let length = body.readInteger(as: UInt8.self) {
      guard let name = body.readString(length: Int(length)), let size = body.readInteger(as: UInt32.self),
        let value = Int(exactly: size).flatMap({ body.readString(length: $0) })
      else { throw .command }
      found[name.lowercased()] = value
    }
    return found
  }

  private static func named(_ name: String) -> ByteBuffer {
    var body = ByteBuffer()
    body.writeInteger(UInt8(name.utf8.count))
    body.writeString(name)
    return body
  }

  private static func command(_ name: String, _ properties: [(String, String)]) -> ByteBuffer {
    var body = named(name)
    for (name, value) in properties {
      body.writeImmutableBuffer(named(name))
      body.writeInteger(UInt32(value.utf8.count))
      body.writeString(value)
    }
    return frame(command: body)
  }

  /// - Parameter body: Of at most 255 bytes.
  private static func frame(command body: ByteBuffer) -> ByteBuffer {
    var out = ByteBuffer(bytes: [0b100, UInt8(body.readableBytes)])
    out.writeImmutableBuffer(body)
    return out
  }
}
