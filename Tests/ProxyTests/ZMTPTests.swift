import NIOCore
import Proxy
import TestSupport
import Testing

/// What libzmq 4.3 sends as a PUSH socket when it has connected.
enum PushSocket {
  static let greeting: [UInt8] =
    [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + Array("NULL".utf8) + Array(repeating: 0, count: 48)
  static let ready: [UInt8] =
    [4, 39] + [5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 4] + Array("PUSH".utf8)
    + [8] + Array("Identity".utf8) + [0, 0, 0, 0]

  static func message(_ body: [UInt8], flags: UInt8 = 0) -> [UInt8] { [flags, UInt8(body.count)] + body }

  /// As LMCache's recordings have it.
  static func notice(_ id: String) -> [UInt8] {
    [0x82, 0xA4] + Array("type".utf8) + [0xAA] + Array("ProxyNotif".utf8) + [0xA6] + Array("req_id".utf8)
      + [0xD9, UInt8(id.utf8.count)] + Array(id.utf8)
  }
}

@Suite struct ZMTPTests {
  private static let hello = PushSocket.greeting + PushSocket.ready

  private static func events(_ pieces: [[UInt8]]) throws -> [ZMTPReceiver.Event] {
    var receiver = ZMTPReceiver()
    return try pieces.flatMap { try receiver.take(ByteBuffer(bytes: $0)) }
  }

  private static func messages(_ bytes: [UInt8], by step: Int) throws -> [String] {
    try events(stride(from: 0, to: bytes.count, by: step).map { Array(bytes[$0..<min($0 + step, bytes.count)]) })
      .compactMap { if case .message(let message) = $0 { String(buffer: message) } else { nil } }
  }

  @Test(arguments: [1, 2, 7, 64, 1000])
  func `Messages come whole however the bytes are cut`(step: Int) throws {
    let long: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 1, 44] + Array(repeating: UInt8(ascii: "x"), count: 300)
    let bytes =
      Self.hello + PushSocket.message(Array("a".utf8)) + PushSocket.message(Array("b".utf8), flags: 1)
      + PushSocket.message(Array("c".utf8)) + long + PushSocket.message([])
    #expect(try Self.messages(bytes, by: step) == ["a", "bc", String(repeating: "x", count: 300), ""])
  }

  @Test func `It says what it is, and answers a ping`() throws {
    #expect(Array(ZMTPReceiver.greeting.readableBytesView) == PushSocket.greeting)
    let ping: [UInt8] = [4, 9, 4] + Array("PING".utf8) + [0, 9, 1, 2]
    let sent = try Self.events([Self.hello, ping]).map { event -> [UInt8] in
      if case .send(let bytes) = event { Array(bytes.readableBytesView) } else { [] }
    }
    let ready =
      [4, 26, 5] + Array("READY".utf8) + [11] + Array("Socket-Type".utf8) + [0, 0, 0, 4] + Array("PULL".utf8)
    #expect(sent == [ready, [4, 7, 4] + Array("PONG".utf8) + [1, 2]])
  }

  static let refused: [(bytes: [UInt8], failure: ZMTPReceiver.Failure)] = [
    (Array("GET / HTTP/1.1\r\n".utf8), .notZMTP),
    ([0xFF] + Array(repeating: 0, count: 9), .notZMTP),
    (replaced(greeting: 10, with: 2), .version(major: 2)),
    (replaced(greeting: 12, with: UInt8(ascii: "P")), .mechanism),
    (PushSocket.greeting + PushSocket.message([1]), .command),
    (PushSocket.greeting + [4, 200, 6] + Array(repeating: 0, count: 199), .command),
    (PushSocket.greeting + PushSocket.ready.map { $0 == UInt8(ascii: "H") ? UInt8(ascii: "B") : $0 }, .socketType),
    (hello + PushSocket.ready, .command),
    (hello + [8, 0], .notZMTP),
    (hello + [2, 0, 0, 0, 0, 0, 0, 0x10, 1], .tooLong),
    (hello + [2] + Array(repeating: 0xFF, count: 8), .tooLong),
    (hello + [3, 0, 0, 0, 0, 0, 0, 0x10, 0] + Array(repeating: 0, count: 4096) + [0, 1, 0], .tooLong),
  ]

  private static func replaced(greeting place: Int, with byte: UInt8) -> [UInt8] {
    var bytes = PushSocket.greeting
    bytes[place] = byte
    return bytes
  }

  @Test(arguments: refused.indices)
  func `Whoever is no PUSH socket, or says too much, is refused`(index: Int) {
    #expect(throws: Self.refused[index].failure) { try Self.events([Self.refused[index].bytes]) }
  }

  @Test func `Mutated bytes are read or refused, and never more than a notice is kept`() {
    var dice = SplitMix64(seed: 4)
    let good = Self.hello + PushSocket.message(PushSocket.notice("5")) + PushSocket.message(PushSocket.notice("6"))
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &dice) {
        bytes[Int.random(in: 0..<bytes.count, using: &dice)] = UInt8.random(in: .min ... .max, using: &dice)
      }
      guard let events = try? Self.events([bytes]) else { continue }
      for case .message(let message) in events {
        #expect(message.readableBytes <= 4096)
        _ = TransferNotice(message)
      }
    }
  }

  @Test func `A prefiller's notice names its transfer`() {
    let recorded: [UInt8] = [
      0x82, 0xA4, 0x74, 0x79, 0x70, 0x65, 0xAA, 0x50, 0x72, 0x6F, 0x78, 0x79, 0x4E, 0x6F, 0x74, 0x69, 0x66, 0xA6, 0x72,
      0x65, 0x71, 0x5F, 0x69, 0x64, 0xA1, 0x35,
    ]
    #expect(TransferNotice(ByteBuffer(bytes: recorded))?.requestID == "5")
    #expect(TransferNotice(ByteBuffer(bytes: PushSocket.notice("room")))?.requestID == "room")
    let more: [UInt8] = [0x83, 0xA1, 0x78, 0xCD, 1, 2] + recorded.dropFirst()
    #expect(TransferNotice(ByteBuffer(bytes: more))?.requestID == "5")
    let refused: [[UInt8]] = [
      [], Array(recorded.dropLast()), recorded + [0], [0x82] + recorded.dropFirst(18), [0xDF], [0x81, 0x90],
    ]
    for bad in refused {
      #expect(TransferNotice(ByteBuffer(bytes: bad)) == nil)
    }
  }
}
