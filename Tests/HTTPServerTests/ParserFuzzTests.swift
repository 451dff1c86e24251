import HTTPServer
import HTTPTestSupport
import NIOCore
import Testing

/// What a parser makes of bytes, to be compared.
private enum Reading: Equatable {
  case request(String)
  case awaitsContinue
  case refused(HTTPProtocolError)
}

private func read(_ pieces: [ArraySlice<UInt8>], limits: HTTPLimits) -> [Reading] {
  var parser = HTTPRequestParser(limits: limits)
  var inbox = ByteBuffer()
  var readings: [Reading] = []
  let now = NIODeadline.now()
  for piece in pieces {
    inbox.writeBytes(piece)
    do {
      while let event = try parser.next(&inbox, now: now) {
        switch event {
        case .awaitsContinue: readings.append(.awaitsContinue)
        case .request(let request):
          let fields = request.headers.map { "\($0.name): \($0.value)" }
          let body = String(buffer: request.body)
          readings.append(.request("\(request.method) \(request.path) \(request.query ?? "-") \(fields) \(body)"))
        }
      }
    } catch {
      return readings + [.refused(error)]
    }
  }
  return readings
}

@Suite(.timeLimit(.minutes(5))) struct ParserFuzzTests {
  private static let seeds = [
    "POST /a?b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nxyz\r\n0\r\nT: t\r\n\r\n"
      + "GET /s HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyzGET /s HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\n\r\nGET http://h/a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n\r\nPOST /b HTTP/1.0\r\nContent-Length: 1\r\n\r\nz",
  ]
  /// What mutations are made of: the bytes that framing hangs on, and any.
  private static let telling = Array("\r\n\t :;,0123af-+xX\0".utf8)

  @Test func `100,000 mutated requests are read alike in one piece and in two, wherever the cut`() {
    var random = TestDice(seed: 5)
    var limits = HTTPLimits()
    limits.headBytes = 200
    limits.bodyBytes = 100
    var accepted = 0
    for round in 0..<100_000 {
      var bytes = Array(Self.seeds[round % Self.seeds.count].utf8)
      for _ in 0...Int.random(in: 0...3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let byte =
          Bool.random(using: &random)
          ? Self.telling.randomElement(using: &random)! : UInt8.random(in: 0...255, using: &random)
        switch Int.random(in: 0...2, using: &random) {
        case 0: bytes[place] = byte
        case 1: bytes.insert(byte, at: place)
        default: bytes.remove(at: place)
        }
      }
      let whole = read([bytes[...]], limits: limits)
      let cut = Int.random(in: 0...bytes.count, using: &random)
      let inTwo = read([bytes[..<cut], bytes[cut...]], limits: limits)
      // Whether the client is told to go on depends on what has come; nothing else does.
      let isAlike = whole.filter { $0 != .awaitsContinue } == inTwo.filter { $0 != .awaitsContinue }
      if !isAlike { Issue.record("\(String(decoding: bytes, as: UTF8.self)) cut at \(cut): \(whole) or \(inTwo)") }
      if case .request? = whole.first { accepted += 1 }
    }
    // The mutations are neither all harmless nor all fatal.
    #expect((20_000...80_000).contains(accepted), "\(accepted)")
  }
}
