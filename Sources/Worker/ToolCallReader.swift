import ServingAPI

/// How a model family writes that it calls tools; the names are those of vLLM's `--tool-call-parser`.
package enum ToolCallFormat: String, Sendable, CaseIterable {
  /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, of Hermes and Qwen.
  case hermes
  /// `{"name": …, "parameters": …}` and nothing else, of Llama 3; several with `;` between them.
  case llama3JSON = "llama3_json"
  /// `[TOOL_CALLS][{"name": …, "arguments": …}]`, or since the eleventh tokenizer `[TOOL_CALLS]name{…}`.
  case mistral
}

/// Finds calls of tools in an output that comes in pieces, and gives out names and arguments as soon as they are known.
///
/// The pieces may be cut anywhere; what they make together does not depend on it. Arguments are given out as the model
/// wrote them. What begins like a call and is none comes out as text.
///
/// The only order: `append` for every piece, then `finish`.
package struct ToolCallReader: Sendable {
  package enum Syntax: Sendable, Equatable {
    /// The model's own, between text.
    case format(ToolCallFormat)
    /// The whole output is a list of calls.
    case list
    /// The whole output is the arguments of one.
    case arguments(of: String)
  }

  package struct Output: Equatable {
    package var text: String
    package var calls: [ToolCallDelta]

    package init(text: String = "", calls: [ToolCallDelta] = []) {
      self.text = text
      self.calls = calls
    }

    package func followed(by next: Output) -> Output { Output(text: text + next.text, calls: calls + next.calls) }
  }

  private enum State {
    /// Text, and maybe the beginning of a mark.
    case text
    /// After a mark: brackets, commas, white space, until a call begins.
    case beforeCall
    case call(ToolCallScanner)
    /// After a call: what separates it from the next, or ends the list.
    case afterCall
    /// No call can come any more.
    case plain
  }

  private let syntax: Syntax
  private let allowsSeveral: Bool
  private var state: State
  /// What is read and not yet told; it begins and ends between characters, because marks are ASCII.
  private var held: [UInt8] = []
  /// What announced the call that has not begun yet.
  private var mark: [UInt8] = []
  private var callCount = 0

  package init(_ syntax: Syntax, allowsSeveral: Bool = true) {
    self.syntax = syntax
    self.allowsSeveral = allowsSeveral
    state =
      switch syntax {
      case .format(.llama3JSON), .list: .beforeCall
      case .format: .text
      case .arguments: .plain
      }
  }

  /// Whether the choice's end is told as `tool_calls`; a named call's is not, as OpenAI has it.
  package var endsWithCalls: Bool {
    if case .arguments = syntax { return false }
    return callCount > 0
  }

  package mutating func append(_ piece: String) -> Output {
    if case .arguments(let name) = syntax { return append(arguments: piece, of: name) }
    var output = Output()
    held += piece.utf8
    while advance(&output) {}
    return output
  }

  /// What was still held back. Between and after calls that is nothing but marks.
  package mutating func finish() -> Output {
    defer { (held, mark, state) = ([], [], .plain) }
    switch state {
    case .afterCall: return Output()
    case .call(let scanner): return Output(text: scanner.hasName ? "" : Self.text(mark + scanner.raw))
    case .text, .beforeCall, .plain: return Output(text: Self.text(mark + held))
    }
  }

  private mutating func append(arguments: String, of name: String) -> Output {
    guard !arguments.isEmpty else { return Output() }
    guard callCount == 0 else { return Output(calls: [ToolCallDelta(index: 0, arguments: arguments)]) }
    callCount = 1
    return Output(calls: [ToolCallDelta(index: 0, id: newID(), name: name, arguments: arguments)])
  }

  // MARK: Steps

  /// - Returns: Whether there may be more to do with what is held.
  private mutating func advance(_ output: inout Output) -> Bool {
    switch state {
    case .plain:
      output.text += take(held.count)
      return false
    case .text: return findMark(&output)
    case .beforeCall: return beginCall()
    case .call(var scanner):
      read(with: &scanner, &output)
      if scanner.isComplete { state = .afterCall } else if !scanner.isMalformed { state = .call(scanner) }
      return scanner.isComplete || scanner.isMalformed
    case .afterCall: return endCall()
    }
  }

  private var openingMark: [UInt8] { Array((syntax == .format(.mistral) ? "[TOOL_CALLS]" : "<tool_call>").utf8) }

  private mutating func findMark(_ output: inout Output) -> Bool {
    let wanted = openingMark
    if let range = held.firstRange(of: wanted) {
      output.text += take(range.lowerBound)
      held.removeFirst(wanted.count)
      (mark, state) = (wanted, .beforeCall)
      return true
    }
    output.text += take(held.indices.first { wanted.starts(with: held[$0...]) } ?? held.count)
    return false
  }

  private mutating func beginCall() -> Bool {
    let python = Array("<|python_tag|>".utf8)
    if syntax == .format(.llama3JSON), mark.isEmpty, !held.isEmpty {
      if python.starts(with: held), held != python { return false }
      if held.starts(with: python) {
        held.removeFirst(python.count)
        mark = python
      }
    }
    guard let first = held.firstIndex(where: { !" \n\t\r,;[".utf8.contains($0) }) else { return false }
    if held[first] == UInt8(ascii: "{") {
      held.removeFirst(first)
      state = .call(ToolCallScanner())
      return true
    }
    return syntax == .format(.mistral) ? beginNamedCall(from: first) : giveUp()
  }

  /// `name{`, `name[ARGS]{` or `name[CALL_ID]123456789[ARGS]{`.
  private mutating func beginNamedCall(from start: Int) -> Bool {
    guard let brace = held.firstIndex(of: UInt8(ascii: "{")) else { return held.count > 256 ? giveUp() : false }
    let name = held[start..<brace].prefix { $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: " ") }
    held.removeFirst(brace)
    state = .call(ToolCallScanner(name: Self.text(name)))
    return true
  }

  private mutating func read(with scanner: inout ToolCallScanner, _ output: inout Output) {
    var count = 0
    var arguments: [UInt8] = []
    while count < held.count, !scanner.isComplete, !scanner.isMalformed {
      if let name = scanner.read(held[count], arguments: &arguments) {
        callCount += 1
        if isKept { output.calls.append(ToolCallDelta(index: callCount - 1, id: newID(), name: name)) }
      }
      count += 1
    }
    held.removeFirst(count)
    if !arguments.isEmpty, isKept {
      output.calls.append(ToolCallDelta(index: callCount - 1, arguments: Self.text(arguments)))
    }
    guard scanner.isMalformed else { return }
    if !scanner.hasName { held = scanner.raw + held } else { mark = [] }
    _ = giveUp()
  }

  private var isKept: Bool { allowsSeveral || callCount == 1 }

  private mutating func endCall() -> Bool {
    mark = []
    if syntax == .format(.hermes) {
      guard let range = held.firstRange(of: Array("</tool_call>".utf8)) else { return false }
      held.removeSubrange(..<range.upperBound)
      state = .text
      return true
    }
    guard let next = held.firstIndex(where: { !" \n\t\r,;]".utf8.contains($0) }) else { return false }
    if held[next] == UInt8(ascii: "{") {
      held.removeFirst(next)
      state = .call(ToolCallScanner())
      return true
    }
    // Mistral marks each call anew.
    let wanted = openingMark
    guard syntax == .format(.mistral), wanted.starts(with: held[next...].prefix(wanted.count)) else { return giveUp() }
    guard held.count - next >= wanted.count else { return false }
    held.removeFirst(next + wanted.count)
    (mark, state) = (wanted, .beforeCall)
    return true
  }

  /// What was taken for a call is text.
  private mutating func giveUp() -> Bool {
    held = mark + held
    (mark, state) = ([], .plain)
    return true
  }

  // MARK: Bytes

  private mutating func take(_ count: Int) -> String {
    defer { held.removeFirst(count) }
    return Self.text(held[..<count])
  }

  private static func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

  /// Mistral's templates take ids of nine characters only.
  private func newID() -> String {
    syntax == .format(.mistral) ? RequestID.random(digits: 9) : "chatcmpl-tool-\(RequestID.random(digits: 16))"
  }
}
