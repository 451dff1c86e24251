/// `system` and `messages` of `/v1/messages` as a chat's messages.
enum MessagesInput {
  static func messages(_ reader: inout FieldReader) throws(APIError) -> [BodyValue] {
    var messages: [BodyValue] = []
    if let system = reader.present("system") {
      messages.append(["role": "system", "content": .array(try texts(system, "system"))])
    }
    guard reader.present("messages") != nil else {
      reader.note(.missing, "messages", .object(reader.fields))
      return []
    }
    let given = reader.list("messages") ?? []
    for (index, message) in given.enumerated() {
      let place = "messages[\(index)]"
      switch message["role"] {
      case "user": try addUser(message["content"] ?? .null, place, to: &messages)
      case "assistant": messages.append(try assistant(message["content"] ?? .null, place))
      default: throw .badValue("\(place).role should be 'user' or 'assistant'.", param: "messages")
      }
    }
    if given.isEmpty { throw .badValue("messages must have at least one message.", param: "messages") }
    return messages
  }

  /// What tools answered are messages of their own, before what the user says.
  private static func addUser(_ content: BodyValue, _ place: String, to messages: inout [BodyValue]) throws(APIError) {
    var said: [BodyValue] = []
    for block in blocks(content) {
      guard block["type"] == "tool_result" else {
        said.append(try text(block, place))
        continue
      }
      guard let id = block["tool_use_id"]?.stringValue else {
        throw .badValue("\(place) has a tool_result without tool_use_id.", param: "messages")
      }
      messages.append([
        "role": "tool", "tool_call_id": .string(id), "content": .array(try texts(block["content"] ?? "", place)),
      ])
    }
    if !said.isEmpty { messages.append(["role": "user", "content": .array(said)]) }
  }

  private static func assistant(_ content: BodyValue, _ place: String) throws(APIError) -> BodyValue {
    var said: [BodyValue] = []
    var calls: [BodyValue] = []
    for block in blocks(content) {
      guard block["type"] == "tool_use" else {
        said.append(try text(block, place))
        continue
      }
      guard let id = block["id"], let name = block["name"], let input = block["input"] else {
        throw .badValue("\(place) has a tool_use without id, name or input.", param: "messages")
      }
      let arguments = String(decoding: input.encoded, as: UTF8.self)
      calls.append(["id": id, "type": "function", "function": ["name": name, "arguments": .string(arguments)]])
    }
    var message = BodyValue.Fields()
    message["role"] = "assistant"
    message["content"] = .array(said)
    if !calls.isEmpty { message["tool_calls"] = .array(calls) }
    return .object(message)
  }

  private static func texts(_ content: BodyValue, _ place: String) throws(APIError) -> [BodyValue] {
    try blocks(content).map { (block) throws(APIError) in try text(block, place) }
  }

  private static func blocks(_ content: BodyValue) -> [BodyValue] {
    content.arrayValue ?? [["type": "text", "text": content]]
  }

  private static func text(_ block: BodyValue, _ place: String) throws(APIError) -> BodyValue {
    guard block["type"] == "text", let text = block["text"]?.stringValue else {
      let type = block["type"]?.stringValue ?? "unknown"
      throw .badValue(
        "\(place) should be text, or a list of blocks; one is of type '\(type.prefix(32))', and is not served.",
        param: place == "system" ? place : "messages")
    }
    return ["type": "text", "text": .string(text)]
  }
}
