import Foundation
import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

/// Begins a stream and leaves the rest to the test.
private final class Streamer: HTTPResponder {
  let writers = Log<HTTPResponseWriter>()
  let clientsGone = Log<Void>()
  private let first: ByteBuffer

  init(first: ByteBuffer) { self.first = first }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    writer.onClientGone { self.clientsGone.add(()) }
    writer.start(.ok)
    writer.write(first)
    writers.add(writer)
  }
}

private let request = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
private let lastRequest = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

@Suite(.timeLimit(.minutes(5))) struct ConnectionLifeTests {
  @Test func `A server may be shut down again, even when its event loops are gone`() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: group, logger: Logger(label: "test"), responder: Recorder())
    await server.shutdown(grace: .zero)
    try await group.shutdownGracefully()
    await server.shutdown(grace: .zero)
  }

  @Test(arguments: ["", request])
  func `A connection that idles, before its first request or after it, is closed`(sent: String) async throws {
    var limits = HTTPLimits()
    limits.idleTime = .milliseconds(500)
    try await withServer(Recorder(), limits: limits) { server in
      // On a machine that is slow just now the time may be over before the request is read: then another has a try.
      var answer = ""
      for _ in 0..<20 where answer.isEmpty {
        let client = try await RawClient.connect(server.port)
        client.send(sent)
        answer = await client.receiveAll()
        #expect(client.isClosed)
        if sent.isEmpty { break }
      }
      #expect(sent.isEmpty ? answer.isEmpty : answer.hasPrefix("HTTP/1.1 200 "))
    }
  }

  @Test func `A client that leaves a full send buffer unread is cut off`() async throws {
    var limits = HTTPLimits()
    limits.stallTime = .milliseconds(20)
    let streamer = Streamer(first: ByteBuffer(repeating: 0, count: 64 << 20))
    try await withServer(streamer, limits: limits) { server in
      let client = try await RawClient.connect(server.port, receiveBuffer: 64 * 1024)
      client.send(request)
      await streamer.clientsGone.wait(for: 1)
    }
  }

  @Test func `A refusal reaches a client that is still sending its body`() async throws {
    var limits = HTTPLimits()
    limits.bodyBytes = 1000
    try await withServer(Recorder(), limits: limits) { server in
      let client = try await RawClient.connect(server.port)
      client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n")
      for _ in 0..<4 { client.send([UInt8](repeating: 0x20, count: 1_000_000)) }
      let answer = await client.receive { $0.contains("}}") }
      #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix("}}"))
    }
  }

  @Test func `What became of a response is told once, whole or broken off`() async throws {
    let streamer = Streamer(first: ByteBuffer(string: "first"))
    try await withServer(streamer) { server in
      for isWhole in [true, false] {
        let client = try await RawClient.connect(server.port)
        let count = streamer.writers.entries.count + 1
        client.send(request)
        await streamer.writers.wait(for: count)
        let writer = streamer.writers.entries[count - 1]
        let ends = Log<HTTPResponseWriter.Summary>()
        try await writer.eventLoop.submit { writer.onEnd { ends.add($0) } }.get()
        if isWhole { writer.end() } else { client.close() }
        await ends.wait(for: 1)
        #expect(ends.entries == [.init(status: 200, bytes: 5, isWhole: isWhole)])
      }
    }
  }

  @Test func `A client that stays after the last response is cut off`() async throws {
    var limits = HTTPLimits()
    limits.lingerTime = .milliseconds(20)
    let recorder = Recorder()
    try await withServer(recorder, limits: limits) { server in
      // It reads nothing, so it does not see the end either.
      let client = try await RawClient.connect(server.port, receiveBuffer: 64 * 1024)
      client.send(lastRequest)
      await recorder.requests.wait(for: 1)
      await server.shutdown(grace: .seconds(3600))
      client.close()
    }
  }

  @Test func `A shutdown lets a running stream finish, and closes idle connections at once`() async throws {
    let streamer = Streamer(first: ByteBuffer(string: "first"))
    try await withServer(streamer) { server in
      let idle = try await RawClient.connect(server.port)
      let client = try await RawClient.connect(server.port)
      client.send(request)
      await streamer.writers.wait(for: 1)
      async let isDown: Void = server.shutdown(grace: .seconds(3600))
      _ = await idle.receiveAll()
      #expect(idle.isClosed && !client.isClosed)
      let writer = streamer.writers.entries[0]
      writer.write(ByteBuffer(string: "last"))
      writer.end()
      let answer = await client.receiveAll()
      #expect(answer.contains("first") && answer.hasSuffix("4\r\nlast\r\n0\r\n\r\n"))
      await isDown
    }
  }

  @Test func `A stream that outlasts the grace is cut`() async throws {
    let streamer = Streamer(first: ByteBuffer(string: "first"))
    try await withServer(streamer) { server in
      let client = try await RawClient.connect(server.port)
      client.send(request)
      await streamer.writers.wait(for: 1)
      await server.shutdown(grace: .milliseconds(1))
      #expect(streamer.clientsGone.entries.count == 1)
    }
  }

  @Test func `A response tells the date, or passes its origin's on`() async throws {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    try await withServer(Recorder()) { server in
      let before = Date.now.timeIntervalSince1970.rounded(.down)
      let client = try await RawClient.connect(server.port)
      client.send(lastRequest)
      let answer = await client.receiveAll()
      let line = try #require(answer.firstMatch(of: /\r\ndate: ([^\r]*)\r\n/))
      let date = try #require(formatter.date(from: String(line.output.1))).timeIntervalSince1970
      #expect((before...Date.now.timeIntervalSince1970).contains(date))
    }
    try await withServer(Forwarder()) { server in
      let client = try await RawClient.connect(server.port)
      client.send(lastRequest)
      let answer = await client.receiveAll()
      #expect(answer.lowercased().components(separatedBy: "date: ").count == 2)
      #expect(answer.contains("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"))
    }
  }
}

private struct Forwarder: HTTPResponder {
  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    writer.send(.ok, headers: ["Date": "Sun, 06 Nov 1994 08:49:37 GMT"])
  }
}
