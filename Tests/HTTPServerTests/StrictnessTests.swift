import Foundation
import HTTPServer
import HTTPTestSupport
import Testing

private let head = "POST /a HTTP/1.1\r\nHost: h\r\n"
private let chunked = head + "Transfer-Encoding: chunked\r\n\r\n"

@Suite(.timeLimit(.minutes(5))) struct StrictnessTests {
  static let refused: [(String, Int)] = [
    (head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    (head + "Content-Length: 3, 3\r\n\r\nabc", 400),
    (head + "Content-Length: +3\r\n\r\nabc", 400),
    (head + "Content-Length: -3\r\n\r\nabc", 400),
    (head + "Content-Length: 0x3\r\n\r\nabc", 400),
    (head + "Content-Length: 99999999999999999999\r\n\r\n", 400),
    (head + "Content-Length:\r\n\r\n", 400),
    (head + "Content-Length: 3 3\r\n\r\nabc", 400),
    (head + "Content-Length: 3,\r\n\r\nabc", 400),
    (head + "Content-Length: 3.0\r\n\r\nabc", 400),
    (head + "Content-Length: ３\r\n\r\nabc", 400),
    (head + "Content_Length: 3\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    (head + "Content-Length: 999999999\r\n\r\n", 413),
    (head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (head + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501),
    (head + "Transfer-Encoding: chunked\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    (head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    (head + "Transfer-Encoding: \u{0B}chunked\r\n\r\n0\r\n\r\n", 400),
    ("GET /a HTTP/1.1\nHost: h\n\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX(: y\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\u{0}b\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: a\u{1B}b\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX\t: y\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost:\tu@h\r\n\r\n", 400),
    ("GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a HTTP/1.1 \r\nHost: h\r\n\r\n", 400),
    ("GET /a HTTP/1.10\r\nHost: h\r\n\r\n", 400),
    ("GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET  /a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a\u{7F} HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("G(T /a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a\r\nHost: h\r\n\r\n", 400),
    ("GET /a HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ("GET /a http/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /a HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", 417),
    ("GET /" + String(repeating: "a", count: 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    ("GET /a HTTP/1.1\r\nHost: h\r\nX: " + String(repeating: "a", count: 70_000) + "\r\n\r\n", 431),
    ("GET /a HTTP/1.1\r\nHost: h\r\n" + String(repeating: "X: y\r\n", count: 101) + "\r\n", 431),
    (chunked + "0x1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "-1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "+1\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1\r\na0\r\n\r\n", 400),
    (chunked + "1_0\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1;a\u{0}b\r\na\r\n0\r\n\r\n", 400),
    (chunked + "0\r\nX: y\n\r\n", 400),
    (chunked + "0\r\n" + String(repeating: "X: 0123456789\r\n", count: 600) + "\r\n", 431),
    (chunked + "1 \r\na\r\n0\r\n\r\n", 400),
    (chunked + "\r\na\r\n0\r\n\r\n", 400),
    (chunked + "FFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n", 400),
    (chunked + "1\na\r\n0\r\n\r\n", 400),
    (chunked + "1\r\nab\r\n0\r\n\r\n", 400),
    (chunked + "1;" + String(repeating: "x", count: 2000) + "\r\na\r\n0\r\n\r\n", 400),
    (chunked + "0\r\nX y\r\n\r\n", 400),
  ]

  @Test(arguments: refused)
  func `A request that two parsers could read differently is refused and the connection closed`(
    request: String, status: Int
  ) async throws {
    let recorder = Recorder()
    try await withServer(recorder) { server in
      let client = try await RawClient.connect(server.port)
      client.send(request + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
      let answer = await client.receiveAll()
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer.prefix(60))")
      #expect(answer.components(separatedBy: "connection: close").count == 2)
      #expect(client.isClosed)
      #expect(recorder.requests.entries.isEmpty)
    }
  }

  @Test(arguments: [
    (chunked + "1;a=b\r\nx\r\n002\r\nyz\r\n0\r\n\r\n", "/a", "xyz"),
    (chunked + "3\r\nxyz\r\n0\r\nContent-Length: 50\r\nX: y\r\n\r\n", "/a", "xyz"),
    (head + "Content-Length: 3\r\n\r\nxyz", "/a", "xyz"),
    ("\r\nGET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", "/a", ""),
    ("GET http://H:80/a?b HTTP/1.1\r\nHost: h:80\r\n\r\n", "/a", ""),
    ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "/", ""),
    ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", ""),
    ("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz", "/a", "xyz"),
    (head + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nxyz", "/a", "xyz"),
  ])
  func `What the RFCs allow is read in any pieces`(request: String, path: String, body: String) async throws {
    let recorder = Recorder()
    try await withServer(recorder) { server in
      let client = try await RawClient.connect(server.port)
      for byte in request.utf8 { client.send([byte]) }
      client.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
      _ = await client.receiveAll()
      #expect(recorder.requests.entries.map(\.path) == [path, "/last"])
      #expect(recorder.requests.entries.first.map { String(buffer: $0.body) } == body)
    }
  }

  @Test func `A client that expects 100-continue gets it before it sends the body`() async throws {
    try await withServer(Recorder()) { server in
      let client = try await RawClient.connect(server.port)
      client.send(head + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
      let interim = await client.receive { $0.hasSuffix("\r\n\r\n") }
      #expect(interim == "HTTP/1.1 100 Continue\r\n\r\n")
      client.send("xyz")
      let answer = await client.receive { $0.hasSuffix("xyz") }
      #expect(answer.hasSuffix("xyz"))
    }
  }

  @Test(arguments: [("GET /a HTTP/1.1\r\nHo", "head"), (head + "Content-Length: 3\r\n\r\nx", "body")])
  func `A slow request gets 408`(request: String, part: String) async throws {
    var limits = HTTPLimits()
    limits.headTime = .milliseconds(20)
    limits.bodyTime = .milliseconds(20)
    try await withServer(Recorder(), limits: limits) { server in
      let client = try await RawClient.connect(server.port)
      client.send(request)
      let answer = await client.receiveAll()
      #expect(answer.hasPrefix("HTTP/1.1 408 ") && answer.contains(part))
    }
  }

  @Test func `Pipelined requests are answered in order, HEAD without a body, HTTP 1.0 with a close`() async throws {
    try await withServer(Recorder()) { server in
      let client = try await RawClient.connect(server.port)
      client.send(
        head + "Content-Length: 1\r\n\r\n1" + "HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n2"
          + "POST /a HTTP/1.0\r\nContent-Length: 1\r\n\r\n3")
      let answer = (await client.receiveAll()).replacing(/date: [^\r]*\r\n/, with: "")
      let fields = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n"
      #expect(answer == fields + "\r\n1" + fields + "\r\n" + fields + "connection: close\r\n\r\n3")
    }
  }

  @Test func `Each of 300 mutated requests is answered or refused, in time`() async throws {
    var random = TestDice(seed: 11)
    var limits = HTTPLimits()
    limits.headTime = .milliseconds(20)
    limits.bodyTime = .milliseconds(20)
    let seeds = [chunked + "3\r\nxyz\r\n0\r\n\r\n", head + "Content-Length: 3\r\nConnection: close\r\n\r\nxyz"]
    let requests = (0..<300).map { round in SpoiltText.mutate(Array(seeds[round % 2].utf8), using: &random) }
    try await withServer(Recorder(), limits: limits) { server in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for request in requests {
          group.addTask {
            let client = try await RawClient.connect(server.port)
            client.send(request)
            let answer = await client.receive { $0.contains("\r\n\r\n") }
            #expect(answer.hasPrefix("HTTP/1.1 "), "\(String(decoding: request, as: UTF8.self))")
          }
        }
        try await group.waitForAll()
      }
    }
  }
}

private enum SpoiltText {
  /// One to four bytes changed or left out.
  static func mutate(_ bytes: [UInt8], using random: inout TestDice) -> [UInt8] {
    var bytes = bytes
    for _ in 0...Int.random(in: 0...3, using: &random) {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      if Bool.random(using: &random) {
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      } else {
        bytes.remove(at: place)
      }
    }
    return bytes
  }
}
