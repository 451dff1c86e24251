import Foundation
import HTTPTestSupport
import NIOCore
import Proxy
import ServingAPI
import Testing

/// Streams of an engine that holds back what can become a stop string, as vLLM does, and their continuation by another one.
@Suite struct HeldBackTextTests {
  /// A token's text is its id's piece; a stop string is looked for in the engine's own output only.
  struct Engine {
    static let pieces = ["", "a", "bc", " d", "é", "😀", "\\n", "xyz", "zz", "q", "<|", "stop", "|>"]
    let prompt: [Int32]
    let script: [Int32]
    let stop: [String]

    /// The same script goes on wherever the prompt ends.
    init(_ body: ByteBuffer, script: [Int32], stop: [String]) throws {
      let parsed = try BodyParser.parse(Array(body.readableBytesView))
      prompt =
        parsed["prompt"]?.arrayValue?.compactMap { if case .integer(let id) = $0 { Int32(id) } else { nil } } ?? [100]
      self.script = Array(script.dropFirst(prompt.count - 1))
      self.stop = stop
    }

    static func text(_ id: Int32) -> String { pieces[Int(id)].replacing("\\n", with: "\n") }

    private static func quoted(_ text: String) -> String {
      String(decoding: BodyValue.string(text).encoded, as: UTF8.self)
    }

    /// Scalars throughout, as Python's characters.
    var events: [String] {
      let heldBack = (stop.map { $0.unicodeScalars.count }.max() ?? 1) - 1
      var (text, shown, events) = ([Unicode.Scalar](), 0, [String]())
      for (number, id) in script.enumerated() {
        text += Self.text(id).unicodeScalars
        let whole = String(String.UnicodeScalarView(text))
        let found = stop.compactMap { whole.range(of: $0)?.lowerBound }.min()
        if let found { text = Array(whole[..<found].unicodeScalars) }
        let isLast = found != nil || number == script.count - 1
        let end = max(shown, isLast ? text.count : text.count - heldBack)
        let delta = Self.quoted(String(String.UnicodeScalarView(text[shown..<end])))
        shown = end
        let promptIDs = number == 0 ? "[\(prompt.map(String.init).joined(separator: ","))]" : "null"
        let finish = isLast ? found == nil ? "\"length\"" : "\"stop\"" : "null"
        events.append(
          #"data: {"id":"i","object":"o","created":1,"model":"m","choices":[{"index":0,"text":\#(delta),"#
            + #""logprobs":null,"finish_reason":\#(finish),"stop_reason":null,"prompt_token_ids":\#(promptIDs),"#
            + #""token_ids":[\#(id)]}]}"# + "\n\n")
        if isLast { break }
      }
      return events + ["data: [DONE]\n\n"]
    }
  }

  private static func body(_ stop: [String], _ more: String = "") -> String {
    let stops = stop.map { "\"\($0.replacing("\n", with: "\\n"))\"" }.joined(separator: ",")
    return #"{"prompt":"x","max_tokens":99,"temperature":0,"stream":true,"stop":[\#(stops)]\#(more)}"#
  }

  private static func migration(_ body: String) throws -> StreamMigration {
    try #require(StreamMigration(of: try ClientBody(ByteBuffer(string: body)), kind: .completions, limit: 3))
  }

  /// The text of a stream, and how it ends.
  private static func text(_ stream: String) throws -> (text: String, finish: BodyValue?) {
    var (text, finish) = ("", BodyValue?.none)
    for event in stream.split(separator: "\n\n") where !event.contains("[DONE]") {
      let parsed = try BodyParser.parse(Array(event.dropFirst(6).utf8))
      text += parsed["choices"]?.arrayValue?.first?["text"]?.stringValue ?? ""
      finish = parsed["choices"]?.arrayValue?.first?["finish_reason"]
    }
    return (text, finish)
  }

  private static let stops = [
    ["zz"], ["q"], ["<|stop|>"], ["zz", "<|stop|>"], ["\n\n"], ["never seen"], ["d\u{E9}\u{1F600}"],
  ]

  @Test(arguments: stops)
  func `Wherever a stream with stop strings is cut off, another engine ends it with the same text`(
    stop: [String]
  ) throws {
    var dice = TestDice(seed: 11)
    for _ in 0..<5 {
      let script = (0..<14).map { _ in Int32.random(in: 0..<Int32(Engine.pieces.count), using: &dice) }
      let body = Self.body(stop)
      let events = try Engine(ByteBuffer(string: body), script: script, stop: stop).events
      let whole = try Self.text(events.joined())
      for cut in 1..<events.count {
        var migration = try Self.migration(body)
        #expect(migration.begins([:]) == nil)
        var shown = String(buffer: migration.take(ByteBuffer(string: events[..<cut].joined())).events)
        var hasEnded = false
        // The second engine fails too, somewhere.
        for last in [true, false] {
          guard case .ask(let rest) = migration.remedy() else { break }
          #expect(migration.begins([:]) == nil)
          var more = try Engine(rest.plain, script: script, stop: stop).events
          if last { more.removeLast(Int.random(in: 1...more.count, using: &dice)) } else { hasEnded = true }
          guard !more.isEmpty else { continue }
          shown += String(buffer: migration.take(ByteBuffer(string: more.joined())).events)
        }
        if !hasEnded, case .complete(let rest) = migration.remedy() { shown += String(buffer: rest) }
        let got = try Self.text(shown)
        #expect(got.text == whole.text && got.finish == whole.finish, "\(script) cut at \(cut)")
      }
    }
  }

  @Test(
    arguments: [
      #","logprobs":1"#, #","return_token_ids":true"#, #","include_stop_str_in_output":true"#, #","temperature":1"#,
      #","frequency_penalty":1"#,
    ])
  func `What would differ or be seen twice is not made again`(more: String) throws {
    var migration = try Self.migration(Self.body(["zz"], more))
    let events = try Engine(ByteBuffer(string: Self.body(["zz"])), script: [1, 2, 3, 1, 2], stop: ["zz"]).events
    #expect(migration.begins([:]) == nil)
    _ = migration.take(ByteBuffer(string: events[..<3].joined()))
    guard case .impossible = migration.remedy() else { return #expect(Bool(false), "was continued") }
  }

  @Test func `Characters are counted as Python does`() {
    for (json, count) in [
      ("\"\"", 0), ("\"a\"", 1), (#""\n\"\\""#, 3), (#""\u00e9\uD83D\ude00x""#, 3), ("\"é😀\"", 2), ("\"é", 1),
      (#""a\"#, 2), (#""\u"#, 1),
    ] {
      var held = HeldBackText(heldBack: 0)
      let text = ByteBuffer(string: json)
      held.came(text.withUnsafeReadableBytes { $0.scalars(inStringAt: 0).count }, ids: 1)
      #expect(held.rewind() == (count > 0 ? 1 : 0, 0))
      #expect(text.withUnsafeReadableBytes { $0.scalars(inStringAt: 0).count } == count, "\(json)")
    }
  }
}
