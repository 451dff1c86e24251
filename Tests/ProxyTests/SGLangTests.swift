import Foundation
import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Proxy
import Synchronization
import TestSupport
import Testing

/// The prefillers and decoders of an SGLang fleet: a leg is answered when its partner has come into the same room, and
/// refused if it names none.
private final class SGLangFleet: Sendable {
  struct Leg: Sendable {
    var room: UInt64
    var host: String
    var port: Int
    var body: String
  }

  private let waiting = Mutex<[UInt64: (role: WorkerRole, answer: @Sendable () -> Void)]>([:])
  let prefills = Log<Leg>()
  let decodes = Log<Leg>()

  func responder(_ role: WorkerRole) -> some HTTPResponder { SGLangWorker(fleet: self, role: role) }

  /// Answers both legs when the second has come.
  func enter(_ leg: Leg, as role: WorkerRole, answer: @escaping @Sendable () -> Void) {
    (role == .prefill ? prefills : decodes).add(leg)
    let partner = waiting.withLock { waiting in
      if let other = waiting[leg.room], other.role != role { return waiting.removeValue(forKey: leg.room) }
      waiting[leg.room] = (role, answer)
      return nil
    }
    guard let partner else { return }
    partner.answer()
    answer()
  }
}

private struct SGLangWorker: HTTPResponder {
  let fleet: SGLangFleet
  let role: WorkerRole

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    if request.path == "/health" { return writer.send(.ok) }
    let fields = try? JSONSerialization.jsonObject(with: Data(request.body.readableBytesView)) as? [String: Any]
    guard let fields, let room = (fields["bootstrap_room"] as? NSNumber)?.uint64Value,
      let host = fields["bootstrap_host"] as? String, let port = fields["bootstrap_port"] as? Int
    else {
      let message = #"{"message":"Disaggregated request received without bootstrap room id"}"#
      return writer.send(.badRequest, body: ByteBuffer(string: message))
    }
    let isStreamed = fields["stream"] as? Bool == true
    let leg = SGLangFleet.Leg(room: room, host: host, port: port, body: String(buffer: request.body))
    fleet.enter(leg, as: role) { [role] in
      let text = #"{"text":"\#(role.rawValue)"}"#
      guard isStreamed else { return writer.send(.ok, body: ByteBuffer(string: text)) }
      writer.start(.ok, headers: ["content-type": "text/event-stream"])
      writer.write(ByteBuffer(string: "data: \(text)\n\ndata: [DONE]\n\n"))
      writer.end()
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct SGLangTests {
  private static func run(
    deadDecoders: Int = 0, _ body: (Deployment, SGLangFleet) async throws -> Void
  ) async throws {
    let fleet = SGLangFleet()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let prefiller = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger,
      responder: fleet.responder(.prefill))
    let decoder = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger,
      responder: fleet.responder(.decode))
    let dead = (0..<deadDecoders).map { _ in RefusingPort() }
    try await Deployment.run(configure: { configuration in
      configuration.prefillers = [WorkerAddress(host: "127.0.0.1", port: prefiller.port)]
      configuration.decoders = (dead.map(\.number) + [decoder.port]).map { WorkerAddress(host: "127.0.0.1", port: $0) }
      configuration.handoff = .sglang
      configuration.bootstrapPorts = [7_000]
      configuration.disaggregation = .tokens(1_000)
    }) { try await body($0, fleet) }
    for server in [prefiller, decoder] { await server.shutdown(grace: .zero) }
    withExtendedLifetime(dead) {}
  }

  @Test(arguments: [
    #"{"prompt":"x"}"#, #"{"prompt":"x","stream":true}"#, #"{"prompt":"x","max_tokens":1}"#, #"{"prompt":["x","y"]}"#,
    #"{"messages":[],"n":2,"bootstrap_room":1,"bootstrap_host":"evil"}"#,
  ])
  func `Every request takes both legs at once, which meet in a room of its own`(request: String) async throws {
    try await Self.run { deployment, fleet in
      for _ in 0..<3 {
        let answer = try await deployment.post(request)
        #expect(answer.head.hasPrefix("HTTP/1.1 200") && answer.body.contains(#""text":"decode""#))
      }
      let legs = fleet.prefills.entries + fleet.decodes.entries
      #expect(legs.count == 6 && Set(legs.map(\.room)).count == 3)
      #expect(legs.allSatisfy { $0.host == "127.0.0.1" && $0.port == 7_000 && $0.room <= UInt64(Int64.max) })
    }
  }

  @Test func `A decoder that is gone takes the attempt along, and the next one has a room of its own`() async throws {
    try await Self.run(deadDecoders: 1) { deployment, fleet in
      for _ in 0..<4 {
        let answer = try await deployment.post(#"{"prompt":"x","stream":true}"#)
        #expect(answer.body.contains(#""text":"decode""#))
      }
      #expect(fleet.decodes.entries.count == 4)
      #expect(Set(fleet.prefills.entries.map(\.room)).count == fleet.prefills.entries.count)
    }
  }
}
