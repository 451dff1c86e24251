import Bench
import Testing

struct EventStreamTests {
  private static let stream = """
    : keep-alive

    data: {"choices":[{"text":"a"}]}

    event: x
    data:{"choices":
    data: [{"text":"b"}]}

    data: [DONE]


    """

  private static let events = [
    "comment  keep-alive", #"data {"choices":[{"text":"a"}]}"#, "data {\"choices\":\n[{\"text\":\"b\"}]}",
    "data [DONE]",
  ]

  @Test(arguments: ["\n", "\r\n"])
  func `Events come out the same wherever the stream is cut`(lineEnd: String) throws {
    let bytes = Array(
      Self.stream.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: lineEnd).utf8)
    for first in 0...bytes.count {
      for second in [first, first + 1, first + 7, bytes.count] where second >= first && second <= bytes.count {
        let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]].map(Array.init)
        #expect(try Self.read(pieces).events == Self.events, "cut at \(first) and \(second)")
      }
    }
    #expect(try Self.read(bytes.map { [$0] }).events == Self.events)
  }

  @Test func `A stream that ends in an event is seen to`() throws {
    #expect(try Self.read([Array("data: 1\n\n".utf8)]).isWhole)
    #expect(try !Self.read([Array("data: 1\n\ndata: 2\n".utf8)]).isWhole)
    #expect(try Self.read([Array("data: 1\n\n\n".utf8)]).isWhole)
  }

  @Test func `An event that never ends is refused`() {
    let piece = Array(repeating: UInt8(ascii: "x"), count: 1024 * 1024)
    #expect(throws: EventStreamScanner.TooLong.self) { try Self.read(Array(repeating: piece, count: 5)) }
  }

  private static func read(_ pieces: [[UInt8]]) throws -> (events: [String], isWhole: Bool) {
    var scanner = EventStreamScanner()
    var events: [String] = []
    for piece in pieces {
      try piece.withUnsafeBytes { bytes in
        try scanner.feed(bytes) { part in
          switch part {
          case .data(let data): events.append("data " + String(decoding: data, as: UTF8.self))
          case .comment(let text): events.append("comment " + String(decoding: text, as: UTF8.self))
          }
        }
      }
    }
    return (events, scanner.isBetweenEvents)
  }

  @Test(arguments: [
    (#"{"id":"x","choices":[{"index":0,"text":" a","finish_reason":null}],"usage":null}"#, "token text= a"),
    (#"{"choices" : [ {"delta":{"role":"assistant","content":"\"é"} , "index":0}]}"#, #"token text=\"é"#),
    (#"{"choices":[{"delta":{"content":null}}]}"#, "token"),
    (#"{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2 }}"#, "usage 7 2"),
    (#"{"choices":[{"text":"]}\\"}],"usage":{"prompt_tokens":7}}"#, #"token text=]}\\ usage 7 -"#),
    (#"{"error":{"message":"no"}}"#, #"error {"message":"no"}"#),
    (#"{"error":null,"choices":[{}]}"#, "token"),
    (#"{}"#, ""), (#"[1]"#, "no object"), (#"{"choices":[{"text":"a"}"#, "no object"), ("", "no object"),
    (#"{"a"}"#, "no object"), (#"{"a":}"#, "no object"), (#"{"a":"\"#, "no object"),
    (#"{"usage":{"prompt_tokens":99999999999999999999}}"#, "usage - -"),
  ])
  func `A chunk is read without being parsed whole`(json: String, expected: String) {
    let bytes = Array(json.utf8)
    let seen = bytes.withUnsafeBytes { data -> String in
      guard let chunk = StreamChunk(data) else { return "no object" }
      var words = chunk.hasChoice ? ["token"] : []
      if let text = chunk.text {
        words.append("text=" + String(decoding: data[text].dropFirst().dropLast(), as: UTF8.self))
      }
      if let usage = chunk.usage {
        words += ["usage"] + [usage.promptTokens, usage.completionTokens].map { $0.map { "\($0)" } ?? "-" }
      }
      if let error = chunk.error { words.append("error " + String(decoding: data[error], as: UTF8.self)) }
      return words.joined(separator: " ")
    }
    #expect(seen == expected)
  }
}
