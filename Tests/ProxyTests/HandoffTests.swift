import NIOCore
import Proxy
import Testing

@Suite struct HandoffTests {
  private static let prefillers = [
    WorkerAddress(host: "10.0.0.1", port: 30000), WorkerAddress(host: "fd00::2", port: 1),
  ]

  private static func pair(_ prefiller: Int, room: UInt64 = 7) -> LegPair {
    LegPair(prefiller: prefillers[prefiller], decoder: WorkerAddress(host: "d", port: 2), room: room)
  }

  @Test(
    arguments: [
      (0, [8998], 0, #""bootstrap_host":"10.0.0.1","bootstrap_port":8998,"bootstrap_room":0"#),
      (
        0, [5, 6], UInt64(Int64.max),
        #""bootstrap_host":"10.0.0.1","bootstrap_port":5,"bootstrap_room":9223372036854775807"#
      ),
      (1, [5, 6], 9, #""bootstrap_host":"[fd00::2]","bootstrap_port":6,"bootstrap_room":9"#),
      (1, [5], 9, #""bootstrap_host":"[fd00::2]","bootstrap_port":5,"bootstrap_room":9"#),
    ] as [(Int, [Int], UInt64, String)])
  func `SGLang's legs get the same body and meet in one room`(
    prefiller: Int, ports: [Int], room: UInt64, fields: String
  ) throws {
    let body = try ClientBody(ByteBuffer(string: #"{"prompt":"x","stream":true,"kv_transfer_params":1}"#))
    let handoff = SGLangHandoff(prefillers: Self.prefillers, bootstrapPorts: ports)
    let pair = Self.pair(prefiller, room: room)
    let prefill = String(buffer: handoff.prefillBody(of: body, pair: pair))
    #expect(prefill == #"{"prompt":"x","stream":true,\#(fields)}"#)
    #expect(handoff.decodeBody(of: body, pair: pair, prefillAnswer: nil).map(String.init(buffer:)) == prefill)
  }

  @Test func `What a client sends as a handoff's fields stays behind`() throws {
    let text = #"{"bootstrap_host":"evil","prompt":"x","bootstrap_port":1,"bootstrap_room":2,"kv_transfer_params":{}}"#
    let body = try ClientBody(ByteBuffer(string: text))
    #expect(String(buffer: body.plain) == #"{"prompt":"x"}"#)
    let handoff = SGLangHandoff(prefillers: Self.prefillers, bootstrapPorts: [5])
    let prefill = String(buffer: handoff.prefillBody(of: body, pair: Self.pair(0)))
    #expect(prefill == #"{"bootstrap_host":"10.0.0.1","prompt":"x","bootstrap_port":5,"bootstrap_room":7}"#)
  }

  @Test(arguments: [
    (#"{"prompt":"x"}"#, Route.twoLegs), (#"{"prompt":"x","max_tokens":1,"echo":true,"logprobs":1}"#, .prefillerAlone),
    (#"{"prompt":"x","max_tokens":0,"echo":true}"#, .prefillerAlone),
    (#"{"prompt":"x","echo":true,"logprobs":0}"#, .decoderAlone),
    (#"{"messages":[],"prompt_logprobs":0}"#, .decoderAlone),
    (#"{"prompt":"x","echo":true,"logprobs":null}"#, .twoLegs), (#"{"prompt":"x","logprobs":3}"#, .twoLegs),
    (#"{"messages":[],"echo":true,"logprobs":false,"prompt_logprobs":null}"#, .twoLegs),
  ])
  func `A prompt is scored where the answer is made, because KV does not tell its scores`(text: String, route: Route)
    throws
  {
    #expect(try ClientBody(ByteBuffer(string: text)).route(under: NixlHandoff()) == route)
  }

  @Test(arguments: [#"{"prompt":"x"}"#, #"{"prompt":"x","max_tokens":1}"#, #"{"prompt":["a","b"]}"#, #"{"n":4}"#])
  func `Where decoders cannot prefill, every request takes both legs`(body: String) throws {
    let handoff = SGLangHandoff(prefillers: Self.prefillers, bootstrapPorts: [5])
    #expect(try ClientBody(ByteBuffer(string: body)).route(under: handoff) == .twoLegs)
  }
}
