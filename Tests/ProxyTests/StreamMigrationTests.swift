import HTTPTestSupport
import NIOCore
import Proxy
import ServingAPI
import Testing

/// The value alone: bytes in, bytes and requests out.
@Suite struct StreamMigrationTests {
  private static let chat = #"{"messages":[],"max_tokens":8,"stream":true,"stream_options":{"include_usage":true}}"#
  private static let completion = #"{"prompt":"x","max_tokens":8,"stream":true,"logprobs":1}"#

  private static func migration(_ body: String) throws -> StreamMigration {
    let body = try ClientBody(ByteBuffer(string: body))
    return try #require(StreamMigration(of: body, kind: body.isChat ? .chat : .completions, limit: 1))
  }

  /// What the decoder sends for this request, which the proxy asks for with ids.
  private static func stream(_ body: String, _ kind: MockEngineKind) -> [UInt8] {
    let asked = ByteBuffer(string: body.dropLast() + #","return_token_ids":true}"#)
    return Array(MockGeneration(asked, isChat: body.contains("messages"), kind: kind).events.joined().utf8)
  }

  /// Feeds pieces of a stream through the gate, as they come over the network.
  private static func feed(
    _ pieces: [ArraySlice<UInt8>], to migration: inout StreamMigration
  ) -> (shown: String, fault: LegFault?) {
    var gate = EventStreamGate()
    var shown = ""
    for piece in pieces {
      guard let events = gate.take(ByteBuffer(bytes: piece)) else { continue }
      let (kept, fault) = migration.take(events)
      shown += String(buffer: kept)
      if let fault { return (shown, fault) }
    }
    return (shown, nil)
  }

  @Test(arguments: [chat, completion])
  func `However a stream is cut into pieces, the client gets it without ids`(body: String) throws {
    let stream = Self.stream(body, .ours)
    var first = try Self.migration(body)
    let whole = Self.feed([stream[...]], to: &first).shown
    #expect(!whole.contains("token_ids\":[") && whole.hasSuffix("data: [DONE]\n\n"))
    for cut in 1..<stream.count {
      var migration = try Self.migration(body)
      #expect(Self.feed([stream[..<cut], stream[cut...]], to: &migration).shown == whole)
    }
  }

  @Test(arguments: [chat, completion], [MockEngineKind.ours, .vllm])
  func `Wherever a stream is cut off, the rest that is asked for makes it whole`(
    body: String, kind: MockEngineKind
  ) throws {
    let stream = Self.stream(body, kind)
    var first = try Self.migration(body)
    let whole = Self.feed([stream[...]], to: &first).shown
    for cut in 0..<stream.count {
      var migration = try Self.migration(body)
      let headers = MockGeneration(ByteBuffer(string: body), isChat: false, kind: kind).headers
      #expect(migration.begins(headers) == nil)
      var shown = Self.feed([stream[..<cut]], to: &migration).shown
      switch migration.remedy() {
      case .impossible: #expect(shown.isEmpty)
      case .complete(let rest): #expect(shown + String(buffer: rest) == whole)
      case .ask(let rest):
        let generation = MockGeneration(rest.plain, isChat: false, name: "d2", kind: kind)
        #expect(migration.begins(generation.headers) == nil)
        shown += Self.feed([Array(generation.events.joined().utf8)[...]], to: &migration).shown
        #expect(Self.text(shown) == Self.text(whole), "cut at \(cut)")
        if kind == .ours { #expect(shown == whole, "cut at \(cut)") }
      }
    }
  }

  /// The words of a stream, its end and usage: all but events without text.
  private static func text(_ stream: String) -> [Substring] {
    stream.split(separator: "\n\n").filter {
      !$0.contains(#""text":"","logprobs":null"#) && !$0.contains(#"{"content":""},"logprobs":null"#)
    }
  }

  @Test(
    arguments: [
      ("\"token_ids\\\":[1]", true), ("token_ids", true), ("{\\\"error\\\"", true), ("finish_reason\\\":\\\"", true),
      ("data: [DONE]", true),
    ])
  func `What a text says is no key`(text: String, isFollowed: Bool) throws {
    let head = #"data: {"id":"i","object":"o","created":1,"model":"m","choices":[{"index":0,"text":""#
    let tail = #"","logprobs":null,"finish_reason":null,"prompt_token_ids":[1],"token_ids":[2]}]}"#
    var migration = try Self.migration(Self.completion)
    let event = head + text.replacing("\"token", with: "\\\"token") + tail + "\n\n"
    let (shown, fault) = migration.take(ByteBuffer(string: event))
    #expect(fault == nil)
    let nulls = #""prompt_token_ids":null,"token_ids":null"#
    #expect(String(buffer: shown) == event.replacing(#""prompt_token_ids":[1],"token_ids":[2]"#, with: nulls))
    guard case .ask(let rest) = migration.remedy() else { return #expect(!isFollowed) }
    #expect(String(buffer: rest.plain).contains(#""prompt":[1,2]"#))
  }

  @Test(
    arguments: [
      #""text":"a","token_ids":null"#, #""text":"a""#, #""text":"a","token_ids":[1.5]"#,
      #""text":"a","token_ids":[99999999999]"#, #""text":"a","token_ids":[-1]"#, #""text":"a","token_ids":["1"]"#,
      #""text":"a","token_ids":[[1]]"#, #""text":"a","token_ids":[1"#,
    ])
  func `A stream whose ids are missing or odd is passed on and cannot be continued`(choice: String) throws {
    let first = #"data: {"id":"i","model":"m","choices":[{"text":" a","prompt_token_ids":[1],"token_ids":[2]}]}"#
    var migration = try Self.migration(Self.completion)
    let event = #"data: {"id":"i","model":"m","choices":[{\#(choice)}]}"#
    let (shown, fault) = migration.take(ByteBuffer(string: first + "\n\n" + event + "\n\n"))
    #expect(fault == nil && String(buffer: shown).hasSuffix(event + "\n\n"))
    guard case .impossible = migration.remedy() else { return #expect(Bool(false), "was continued") }
  }

  @Test(
    arguments: [
      #"{"reasoning_content":"hm"}"#, #"{"reasoning":"hm"}"#, #"{"tool_calls":[]}"#,
      #"{"content":"a","tool_calls":[{}]}"#, #"{"role":"assistant","reasoning":"hm"}"#,
    ])
  func `What an engine's parsers made of the tokens cannot be continued`(delta: String) throws {
    var migration = try Self.migration(Self.chat)
    let head = #"data: {"id":"i","model":"m","choices":[{"index":0,"delta":"#
    let role = head + #"{"role":"assistant","content":""}}],"prompt_token_ids":[1]}"#
    _ = migration.take(ByteBuffer(string: role + "\n\n" + head + delta + #","token_ids":[2]}]}"# + "\n\n"))
    guard case .impossible = migration.remedy() else { return #expect(Bool(false), "was continued") }
  }

  @Test func `Mutated streams neither crash the proxy nor grow`() throws {
    var dice = TestDice(seed: 3)
    for round in 0..<1_000 {
      let body = round.isMultiple(of: 2) ? Self.chat : Self.completion
      var bytes = Self.stream(body, .ours)
      for _ in 0...Int.random(in: 0...3, using: &dice) {
        let place = Int.random(in: 0..<bytes.count, using: &dice)
        if Bool.random(using: &dice) {
          bytes[place] = UInt8.random(in: 0...255, using: &dice)
        } else {
          bytes.remove(at: place)
        }
      }
      var migration = try Self.migration(body)
      let cut = Int.random(in: 0..<bytes.count, using: &dice)
      let shown = Self.feed([bytes[..<cut]], to: &migration).shown
      #expect(shown.utf8.count <= bytes.count + 64)
      guard case .ask = migration.remedy() else { continue }
      _ = migration.begins(["x-xpyd-continued": "1"])
      #expect(Self.feed([bytes[cut...]], to: &migration).shown.utf8.count <= 2 * bytes.count)
    }
  }
}

extension ClientBody {
  fileprivate var isChat: Bool { String(buffer: plain).contains("messages") }
}
