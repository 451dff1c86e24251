import ServingAPI
import Testing
import Worker

/// Calls are found in what a model writes, however it is cut.
struct ToolCallReaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var syntax: ToolCallReader.Syntax
    var output: String
    var text: String
    var calls: [String]
    var testDescription: String { output }
  }

  static let hermes = ToolCallReader.Syntax.format(.hermes)
  static let llama = ToolCallReader.Syntax.format(.llama3JSON)
  static let mistral = ToolCallReader.Syntax.format(.mistral)

  static let cases = [
    Case(
      syntax: hermes, output: "Sure. <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"\"}}\n</tool_call>",
      text: "Sure. ", calls: [#"f {"a": "}\""}"#]),
    Case(
      syntax: hermes,
      output:
        "<tool_call>{\"arguments\":{\"é\":1},\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>",
      text: "\n", calls: [#"f {"é":1}"#, "g {}"]),
    Case(syntax: hermes, output: "No <tool, <tool_cal 日本", text: "No <tool, <tool_cal 日本", calls: []),
    Case(syntax: hermes, output: "<tool_call>oops", text: "<tool_call>oops", calls: []),
    Case(syntax: hermes, output: "<tool_call>{\"nam", text: "<tool_call>{\"nam", calls: []),
    Case(
      syntax: hermes, output: "<tool_call>{\"x\":1}</tool_call>", text: "<tool_call>{\"x\":1}</tool_call>", calls: []),
    Case(
      syntax: hermes, output: "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":[1,", text: "", calls: [#"f {"a":[1,"#]),
    Case(
      syntax: llama, output: #"{"name": "f", "parameters": {"x": 1}}; {"name": "g", "parameters": {}}"#, text: "",
      calls: [#"f {"x": 1}"#, "g {}"]),
    Case(
      syntax: llama, output: #"<|python_tag|>{"name": "f", "parameters": "{\"x\":1}"}"#, text: "",
      calls: [#"f {"x":1}"#]),
    Case(syntax: llama, output: #"{"answer": [1, 2]}"#, text: #"{"answer": [1, 2]}"#, calls: []),
    Case(syntax: llama, output: "Hello {you}", text: "Hello {you}", calls: []),
    Case(
      syntax: mistral,
      output: #"[TOOL_CALLS] [{"name": "f", "arguments": {"x": [{}]}}, {"name": "g", "arguments": {}}]"#,
      text: "", calls: [#"f {"x": [{}]}"#, "g {}"]),
    Case(
      syntax: mistral, output: #"Hm[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g{"y": 2}"#, text: "Hm",
      calls: [#"f {"x": 1}"#, #"g {"y": 2}"#]),
    Case(
      syntax: .list, output: #"[{"name":"f","parameters":{"x":1}}, {"name":"g","parameters":{}}]"#, text: "",
      calls: [#"f {"x":1}"#, "g {}"]),
    Case(syntax: .arguments(of: "f"), output: #"{"x": "é"}"#, text: "", calls: [#"f {"x": "é"}"#]),
  ]

  private func read(_ pieces: [String], _ syntax: ToolCallReader.Syntax, allowsSeveral: Bool = true) -> (
    String, [String]
  ) {
    var reader = ToolCallReader(syntax, allowsSeveral: allowsSeveral)
    var output = ToolCallReader.Output()
    for piece in pieces { output = output.followed(by: reader.append(piece)) }
    output = output.followed(by: reader.finish())
    let calls = ToolCallDelta.whole(output.calls)
    #expect(calls.allSatisfy { $0.id != nil } && calls.map(\.index) == Array(calls.indices))
    return (output.text, calls.map { "\($0.name ?? "?") \($0.arguments)" })
  }

  @Test(arguments: cases)
  func `Calls are found, whole or letter by letter`(each: Case) {
    for pieces in [[each.output], each.output.map(String.init)] {
      let (text, calls) = read(pieces, each.syntax)
      #expect(text == each.text && calls == each.calls)
    }
    for length in 2..<7 {
      let letters = Array(each.output)
      let pieces = stride(from: 0, to: letters.count, by: length).map {
        String(letters[$0..<min($0 + length, letters.count)])
      }
      #expect(read(pieces, each.syntax) == (each.text, each.calls))
    }
  }

  @Test func `Arguments are told while they come`() {
    var reader = ToolCallReader(.format(.hermes))
    #expect(reader.append("<tool_call>{\"name\":\"f\",").calls.first?.name == "f")
    #expect(reader.append("\"arguments\":{\"a\"").calls.map(\.arguments) == ["{\"a\""])
    #expect(reader.append(":1").calls.map(\.arguments) == [":1"])
    #expect(reader.endsWithCalls)
  }

  @Test func `Where one call is allowed, the others are left out`() {
    let (_, calls) = read(
      [#"[{"name":"f","parameters":{}},{"name":"g","parameters":{}}]"#], .list, allowsSeveral: false)
    #expect(calls == ["f {}"])
  }
}
