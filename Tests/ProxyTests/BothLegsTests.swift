import Foundation
import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#

private func together(_ configuration: inout ProxyConfiguration) { configuration.handoff = .sglang }

/// Handoffs whose legs start at once.
@Suite(.timeLimit(.minutes(5))) struct BothLegsTests {
  private static func rooms(_ workers: [MockWorker]) -> [Substring] {
    workers.flatMap(\.bodies).compactMap { $0.split(separator: #""bootstrap_room":"#).last?.prefix { $0.isNumber } }
  }

  @Test func `Both legs start at once and get the same room`() async throws {
    try await Deployment.run(
      prefillers: [.hangsBeforeHead], decoders: [.hangsBeforeHead], configure: together
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.prefillers[0].requests.wait(for: 1)
      await deployment.decoders[0].requests.wait(for: 1)
      #expect(Self.rooms(deployment.prefillers) == Self.rooms(deployment.decoders))
    }
  }

  @Test(arguments: [500, 503])
  func `A prefiller that fails takes the decode leg along, and another pair gets a new room`(status: Int) async throws {
    try await Deployment.run(
      prefillers: [.hangsBeforeHead, .answers], decoders: [.hangsOnce], configure: together
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.prefillers[0].requests.wait(for: 1)
      await deployment.decoders[0].requests.wait(for: 1)
      await deployment.prefillers[0].endHanging(status)
      await deployment.decoders[0].clientsGone.wait(for: 1)
      #expect(Deployment.split(await client.receiveAll()).body == MockWorker.events("d1").joined())
      #expect(Set(Self.rooms(deployment.decoders)).count == 2)
    }
  }

  @Test func `A decoder that fails takes the prefill leg along`() async throws {
    try await Deployment.run(
      prefillers: [.hangsBeforeHead], decoders: [.hangsBeforeHead, .answers], configure: together
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.prefillers[0].requests.wait(for: 1)
      await deployment.decoders[0].requests.wait(for: 1)
      await deployment.decoders[0].endHanging(500)
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      #expect(Deployment.split(await client.receiveAll()).body == MockWorker.events("d2").joined())
    }
  }

  @Test func `A client that leaves takes both legs along`() async throws {
    try await Deployment.run(
      prefillers: [.hangsBeforeHead], decoders: [.hangsAfterFirstEvent], configure: together
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      _ = await client.receive { $0.contains("data: 1") }
      client.close()
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      await deployment.decoders[0].clientsGone.wait(for: 1)
    }
  }

  @Test func `Without a pair the client gets a clear error`() async throws {
    // A decoder of this kind has nothing to say before its prefiller has.
    try await Deployment.run(prefillers: [nil], decoders: [.hangsBeforeHead], configure: together) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 503"))
    }
  }
}
