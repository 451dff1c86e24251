/// `input` of `/v1/responses` as a chat's messages: a string, or items that were said, called and answered.
enum ResponsesInput {
  static func messages(_ reader: inout FieldReader, instructions: String?) throws(APIError) -> [BodyValue] {
    var messages: [BodyValue] = []
    if let instructions { messages.append(["role": "system", "content": .string(instructions)]) }
    switch reader.present("input") {
    case nil: reader.note(.missing, "input", .object(reader.fields))
    case .string(let text)?: messages.append(["role": "user", "content": .string(text)])
    case .array(let items)?:
      guard !items.isEmpty else { throw .badValue("input must have at least one item.", param: "input") }
      for (index, item) in items.enumerated() { try add(item, at: index, to: &messages) }
    case let other?: reader.note(.listType, "input", other)
    }
    return messages
  }

  private static func add(_ item: BodyValue, at index: Int, to messages: inout [BodyValue]) throws(APIError) {
    switch item["type"]?.stringValue {
    case nil, "message": messages.append(try message(item, at: index))
    case "function_call": try add(call: item, at: index, to: &messages)
    case "function_call_output":
      guard let id = item["call_id"]?.stringValue else { throw wrong(index, "a function_call_output with a call_id") }
      messages.append([
        "role": "tool", "tool_call_id": .string(id), "content": try content(item["output"], at: index),
      ])
    case let type?:
      throw .badValue("input[\(index)] has the type '\(type.prefix(32))', which is not served.", param: "input")
    }
  }

  private static func message(_ item: BodyValue, at index: Int) throws(APIError) -> BodyValue {
    guard let role = item["role"]?.stringValue else { throw wrong(index, "a message with a role") }
    // Templates know no developers.
    return ["role": .string(role == "developer" ? "system" : role), "content": try content(item["content"], at: index)]
  }

  /// Calls stand in the message of the assistant that made them.
  private static func add(call: BodyValue, at index: Int, to messages: inout [BodyValue]) throws(APIError) {
    guard let id = call["call_id"]?.stringValue, let name = call["name"]?.stringValue,
      let arguments = call["arguments"]?.stringValue
    else { throw wrong(index, "a function_call with call_id, name and arguments") }
    let made: BodyValue = [
      "id": .string(id), "type": "function", "function": ["name": .string(name), "arguments": .string(arguments)],
    ]
    if case .object(var last)? = messages.last, last["role"] == "assistant" {
      last["tool_calls"] = .array((last["tool_calls"]?.arrayValue ?? []) + [made])
      messages[messages.count - 1] = .object(last)
    } else {
      messages.append(["role": "assistant", "content": "", "tool_calls": [made]])
    }
  }

  /// The chat endpoint's parts of text.
  private static func content(_ value: BodyValue?, at index: Int) throws(APIError) -> BodyValue {
    switch value {
    case .string?: return value!
    case .array(let parts)?:
      return .array(
        try parts.map { (part) throws(APIError) in
          guard let type = part["type"]?.stringValue, ["input_text", "output_text", "text"].contains(type),
            let text = part["text"]?.stringValue
          else { throw wrong(index, "content of text parts: no others are served") }
          return ["type": "text", "text": .string(text)]
        })
    default: throw wrong(index, "content, a string or a list of parts")
    }
  }

  private static func wrong(_ index: Int, _ wanted: String) -> APIError {
    .badValue("input[\(index)] should be or have \(wanted).", param: "input")
  }
}
