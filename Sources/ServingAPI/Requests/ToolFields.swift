/// `tools` and `tool_choice` of a chat: which functions the model may call, and whether it must.
package struct ToolFields: Sendable, Equatable {
  package enum Choice: Sendable, Equatable {
    case none
    /// As the model likes.
    case auto
    /// One call at least.
    case required
    /// The arguments of this function are the whole answer.
    case named(String)
  }

  private struct Function: Sendable, Equatable {
    var name: String
    /// A JSON schema of an object.
    var parameters: BodyValue.Fields
  }

  /// As sent, for the chat template; at least one.
  package var definitions: [BodyValue]
  package var choice: Choice
  /// `parallel_tool_calls`
  package var allowsSeveral: Bool
  private var functions: [Function] = []

  package static let maximumTools = 128

  /// - Returns: nil if the request has no tools.
  init?(_ reader: inout FieldReader) throws(APIError) {
    let choice = reader.present("tool_choice")
    allowsSeveral = reader.bool("parallel_tool_calls") ?? true
    definitions = reader.list("tools") ?? []
    guard !definitions.isEmpty else {
      guard choice == nil || choice == "none" || choice == "auto" else {
        throw .badValue("When using `tool_choice`, `tools` must be set.", param: "tool_choice")
      }
      return nil
    }
    guard definitions.count <= Self.maximumTools else {
      throw .badValue(
        "tools has \(definitions.count) entries, at most \(Self.maximumTools) are served.", param: "tools")
    }
    self.choice = .auto
    for (index, definition) in definitions.enumerated() { functions.append(try Self.function(definition, index)) }
    self.choice = try choice.map { (choice) throws(APIError) in try self.choice(choice) } ?? .auto
  }

  private static func function(_ definition: BodyValue, _ index: Int) throws(APIError) -> Function {
    guard definition["type"] == nil || definition["type"] == "function", let function = definition["function"],
      let name = function["name"]?.stringValue, (1...64).contains(name.utf8.count)
    else {
      throw .badValue(
        "tools[\(index)] should be {\"type\": \"function\", \"function\": {\"name\": …}}, the name of 1 to 64 bytes.",
        param: "tools")
    }
    switch function["parameters"] {
    case nil, .null?: return Function(name: name, parameters: BodyValue.Fields())
    case .object(let fields)?: return Function(name: name, parameters: fields)
    default: throw .badValue("tools[\(index)].function.parameters should be a JSON schema.", param: "tools")
    }
  }

  private func choice(_ value: BodyValue) throws(APIError) -> Choice {
    switch value {
    case "none": return .none
    case "auto": return .auto
    case "required": return .required
    default:
      guard let name = value["function"]?["name"]?.stringValue else {
        throw .badValue(
          "tool_choice should be 'none', 'auto', 'required' or {\"type\": \"function\", \"function\": {\"name\": …}}.",
          param: "tool_choice")
      }
      guard functions.contains(where: { $0.name == name }) else {
        throw .badValue(
          "The tool specified in `tool_choice` does not match any of the specified `tools`", param: "tool_choice")
      }
      return .named(name)
    }
  }

  // MARK: Calls that must be made

  /// What a forced call's output must be; nil if nothing is forced.
  ///
  /// `required`: a list of `{"name": …, "parameters": …}`. Named: the arguments alone. Both as vLLM has it.
  func constraint() throws(APIError) -> OutputConstraint? {
    switch choice {
    case .none, .auto: return nil
    case .named(let name):
      let parameters = functions.first { $0.name == name }!.parameters
      return OutputConstraint(.jsonSchema(Self.text(Self.object(parameters))), field: "tools")
    case .required:
      var definitions = BodyValue.Fields()
      var calls: [BodyValue] = []
      for function in functions {
        var parameters = function.parameters
        try Self.moveDefinitions(of: &parameters, into: &definitions)
        calls.append([
          "type": "object",
          "properties": ["name": ["const": .string(function.name)], "parameters": Self.object(parameters)],
          "required": ["name", "parameters"],
        ])
      }
      var schema = BodyValue.Fields()
      schema["type"] = "array"
      schema["minItems"] = 1
      if !allowsSeveral { schema["maxItems"] = 1 }
      schema["items"] = ["anyOf": .array(calls)]
      for member in definitions.members { schema[member.key] = member.value }
      return OutputConstraint(.jsonSchema(Self.text(.object(schema))), field: "tools")
    }
  }

  /// References in a schema begin at its root, which another is now.
  private static func moveDefinitions(
    of parameters: inout BodyValue.Fields, into all: inout BodyValue.Fields
  ) throws(APIError) {
    for key in ["$defs", "definitions"] {
      guard case .object(let own)? = parameters[key] else { continue }
      parameters[key] = nil
      var known = BodyValue.Fields()
      if case .object(let fields)? = all[key] { known = fields }
      for (name, schema) in own.members {
        if let other = known[name], other != schema {
          throw .badValue("Two tools have a different '\(name)' in their \(key).", param: "tools")
        }
        known[name] = schema
      }
      all[key] = .object(known)
    }
  }

  /// Arguments are an object, even where the tool says nothing of them.
  private static func object(_ parameters: BodyValue.Fields) -> BodyValue {
    var parameters = parameters
    if parameters["type"] == nil { parameters["type"] = "object" }
    return .object(parameters)
  }

  private static func text(_ value: BodyValue) -> String { String(decoding: value.encoded, as: UTF8.self) }
}
