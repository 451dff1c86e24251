import HTTPServer
import NIOCore
import Testing

@Suite struct BodyParserTests {
  private static func parts(of pieces: [String]) throws -> [String] {
    var parser = HTTPBodyParser(.chunked)
    var inbox = ByteBuffer()
    var parts: [String] = []
    for piece in pieces {
      inbox.writeString(piece)
      while let part = try parser.nextJoined(&inbox) {
        guard case .bytes(let bytes) = part else { return parts + ["end"] }
        parts.append(String(buffer: bytes))
      }
    }
    return parts
  }

  @Test(arguments: [
    (["3\r\nabc\r\n"], ["abc"]), (["3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n"], ["abcdef"]),
    (["3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"], ["abcde", "end"]), (["0\r\n\r\n"], ["end"]),
    (["3\r\nab", "c\r\n2\r\nd", "e\r\n0\r\n", "\r\n"], ["ab", "cd", "e", "end"]), (["3\r", "\nabc", "\r"], ["abc"]),
  ])
  func `What is there of a body comes as one, however it was cut`(pieces: [String], parts: [String]) throws {
    #expect(try Self.parts(of: pieces) == parts)
  }

  @Test func `Good parts before a bad one are not told`() {
    #expect(throws: HTTPProtocolError.self) { try Self.parts(of: ["1\r\na\r\nx\r\n"]) }
  }
}
