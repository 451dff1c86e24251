import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// How a stream of tokens ends. Faults are named after the moment they strike.
enum StreamEnd: Sendable, Equatable {
  case whole
  case closes(afterTokens: Int)
  case hangs(afterTokens: Int)
  case reportsError(afterTokens: Int)
  case closesBeforeUsage
  case closesBeforeDone
}

/// What kind of engine it is.
enum MockEngineKind: Sendable { case ours, vllm }

/// A deterministic engine: the token at place n of prompt and output together is n, its text ` n`; place 7 is the first
/// byte of a character that place 8 completes. The same request gives the same tokens wherever it runs.
struct MockGeneration {
  static let promptTokens = 3
  let name: String
  let kind: MockEngineKind
  let isChat: Bool
  let prompt: [Int32]
  let limit: Int
  let earlier: Int
  let showsIDs: Bool
  let includesUsage: Bool
  let logprobs: Int?

  init(_ request: HTTPRequest, name: String, kind: MockEngineKind) {
    self.init(request.body, isChat: request.path.contains("chat"), name: name, kind: kind)
  }

  init(_ body: ByteBuffer, isChat: Bool, name: String = "d1", kind: MockEngineKind = .ours) {
    self.name = name
    self.kind = kind
    self.isChat = isChat
    let body = (try? BodyParser.parse(Array(body.readableBytesView))) ?? .null
    func number(_ name: String) -> Int? { if case .integer(let value)? = body[name] { Int(value) } else { nil } }
    prompt =
      body["prompt"]?.arrayValue?.compactMap { if case .integer(let id) = $0 { Int32(id) } else { nil } } ?? [0, 1, 2]
    limit = number("max_tokens") ?? 6
    earlier = kind == .ours ? number("xpyd_output_tokens") ?? 0 : 0
    showsIDs = body["return_token_ids"] == true
    includesUsage = body["stream_options"]?["include_usage"] == true
    logprobs = isChat ? (body["logprobs"] == true ? number("top_logprobs") ?? 0 : nil) : number("logprobs")
  }

  var headers: HTTPHeaders {
    var headers: HTTPHeaders = ["content-type": "text/event-stream; charset=utf-8"]
    if kind == .ours { headers.add(name: "server", value: "xpyd") }
    if earlier > 0 { headers.add(name: "x-xpyd-continued", value: "\(earlier)") }
    return headers
  }

  static func text(_ place: Int) -> String { place == 7 ? "" : place == 8 ? "é" : " \(place)" }

  private var head: String {
    isChat
      ? #"{"id":"chatcmpl-\#(name)","object":"chat.completion.chunk","created":1,"model":"m","choices":["#
      : #"{"id":"cmpl-\#(name)","object":"text_completion","created":1,"model":"m","choices":["#
  }

  private func list(_ ids: [Int32]) -> String { showsIDs ? "[\(ids.map(String.init).joined(separator: ","))]" : "null" }

  /// The events of the whole answer, the role's and the last two among them.
  var events: [String] {
    var events: [String] = []
    if isChat {
      events.append(
        head + #"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"#
          + #""prompt_token_ids":\#(list(prompt)),"prompt_text":null}"#)
    }
    for number in 0..<limit { events.append(event(number)) }
    if includesUsage {
      let (p, c) = (prompt.count, limit)
      events.append(
        head + #"],"usage":{"prompt_tokens":\#(p),"total_tokens":\#(p + c),"completion_tokens":\#(c)}}"#)
    }
    return events.map { "data: \($0)\n\n" } + ["data: [DONE]\n\n"]
  }

  private func event(_ number: Int) -> String {
    let place = prompt.count + number
    let finish = number == limit - 1 ? #""length""# : "null"
    let ids = list([Int32(place)])
    if isChat {
      let stop = number == limit - 1 ? #","stop_reason":null"# : ""
      return head + #"{"index":0,"delta":{"content":"\#(Self.text(place))"},"logprobs":\#(chatLogprobs(place)),"#
        + #""finish_reason":\#(finish)\#(stop),"token_ids":\#(ids)}]}"#
    }
    let promptIDs = number == 0 ? list(prompt) : "null"
    return head + #"{"index":0,"text":"\#(Self.text(place))","logprobs":\#(logprobs(place, number)),"#
      + #""finish_reason":\#(finish),"stop_reason":null,"prompt_token_ids":\#(promptIDs),"token_ids":\#(ids)}]}"#
  }

  private func logprobs(_ place: Int, _ number: Int) -> String {
    guard logprobs != nil else { return "null" }
    // Each token but one is two scalars long: an engine that knows of earlier output counts it in.
    let offset = 2 * (number + earlier)
    return #"{"text_offset":[\#(offset)],"token_logprobs":[-0.5],"tokens":[" \#(place % 10)"],"#
      + #""top_logprobs":[{" \#(place % 10)":-0.5,"x":-1.5}]}"#
  }

  private func chatLogprobs(_ place: Int) -> String {
    guard let logprobs else { return "null" }
    func candidate(_ token: String, _ value: String) -> String {
      #"{"token":"\#(token)","logprob":\#(value),"bytes":[\#(token.utf8.map { "\($0)" }.joined(separator: ","))]"#
    }
    let top = [candidate(" \(place % 10)", "-0.5"), candidate("x", "-1.5")].prefix(logprobs).map { $0 + "}" }
    return #"{"content":[\#(candidate(" \(place % 10)", "-0.5")),"top_logprobs":[\#(top.joined(separator: ","))]}]}"#
  }

  /// What goes out before the fault.
  func events(until end: StreamEnd) -> [String] {
    let all = events
    let opening = isChat ? 1 : 0
    switch end {
    case .whole: return all
    case .closes(let count), .hangs(let count): return Array(all.prefix(opening + count))
    case .reportsError(let count):
      return Array(all.prefix(opening + count)) + [
        "data: {\"error\":{\"message\":\"engine died\"}}\n\n", "data: [DONE]\n\n",
      ]
    case .closesBeforeUsage: return Array(all.prefix(opening + limit))
    case .closesBeforeDone: return all.dropLast()
    }
  }
}
