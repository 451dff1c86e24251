/// What a piece of output adds to a call of a tool: its beginning, with id and name, or more of its arguments.
package struct ToolCallDelta: Sendable, Equatable {
  /// Which of the choice's calls.
  package var index: Int
  /// `chatcmpl-tool-…`, where the call begins.
  package var id: String?
  package var name: String?
  /// JSON, or a part of it.
  package var arguments: String

  package init(index: Int, id: String? = nil, name: String? = nil, arguments: String = "") {
    self.index = index
    self.id = id
    self.name = name
    self.arguments = arguments
  }

  /// The calls that `deltas` make together, in order.
  package static func whole(_ deltas: [ToolCallDelta]) -> [ToolCallDelta] {
    var calls: [ToolCallDelta] = []
    for delta in deltas {
      if let last = calls.last, last.index == delta.index, delta.id == nil {
        calls[calls.count - 1].arguments += delta.arguments
      } else {
        calls.append(delta)
      }
    }
    return calls
  }

  func json(withIndex: Bool) -> BodyValue {
    var fields = BodyValue.Fields()
    if let id {
      fields.append("id", .string(id))
      fields.append("type", "function")
    }
    if withIndex { fields.append("index", BodyValue(index)) }
    var function = BodyValue.Fields()
    if let name { function.append("name", .string(name)) }
    function.append("arguments", .string(arguments))
    fields.append("function", .object(function))
    return .object(fields)
  }
}
