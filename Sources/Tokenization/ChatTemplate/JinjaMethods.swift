/// The methods of values. Those that would change a list or dictionary are known too, and refused, as the sandbox does.
enum JinjaMethods {
  private static let dictionary: Set<String> = ["get", "items", "keys", "values", "copy"]
  private static let list: Set<String> = ["count", "index", "copy"]
  private static let tuple: Set<String> = ["count", "index"]
  private static let refusedByDictionaries: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]
  private static let refusedByLists: Set<String> = [
    "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
  ]
  private static let strings = Set(JinjaStringMethods.table.keys)
  private static let dictionaries = dictionary.union(refusedByDictionaries)
  private static let lists = list.union(refusedByLists)

  /// Every method name that a call may use, whatever the value is.
  static let names = strings.union(dictionaries).union(lists).union(["cycle"])

  static func names(of value: JinjaValue) -> Set<String> {
    switch value {
    case .string: strings
    case .dictionary: dictionaries
    case .list: lists
    case .tuple: tuple
    default: []
    }
  }

  static func call(
    _ name: String, of receiver: JinjaValue, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    switch receiver {
    case .string(let text):
      guard let method = JinjaStringMethods.table[name] else { break }
      return try method(text, arguments, &budget)
    case .dictionary(let dictionary):
      return try call(name, of: dictionary, arguments, &budget)
    case .list(let items), .tuple(let items):
      return try call(name, of: items, receiver, arguments, &budget)
    case .loop(let loop):
      guard let count = arguments.positional.isEmpty ? nil : arguments.positional.count else {
        throw .evaluation("no items for cycling given")
      }
      return arguments.positional[loop.index % count]
    default: break
    }
    throw .evaluation("'\(receiver.typeName) object' has no method '\(name)'")
  }

  private static func call(
    _ name: String, of dictionary: JinjaDictionary, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let entries = dictionary.map.entries
    if name == "get" {
      let bound = try arguments.bound(to: ["key", "default"], of: "get")
      guard let key = bound[0] else { throw .evaluation("get needs a key") }
      if case .string(let key) = key, let value = dictionary.map[key] { return value }
      return bound[1] ?? .none
    }
    if refusedByDictionaries.contains(name) { throw refusal(of: name, by: "dict") }
    try arguments.requireNone(of: name)
    try budget.spend(entries.count)
    switch name {
    case "copy": return .dictionary(dictionary)
    case "keys": return .iterator(try JinjaItems(entries.map { .string($0.key) }), isView: true)
    case "values": return .iterator(try JinjaItems(entries.map(\.value)), isView: true)
    default: return .iterator(try JinjaItems(try pairs(entries)), isView: true)
    }
  }

  static func pairs(_ entries: [(key: String, value: JinjaValue)]) throws(TemplateFault) -> [JinjaValue] {
    var pairs: [JinjaValue] = []
    for (key, value) in entries { pairs.append(.tuple(try JinjaItems([.string(key), value]))) }
    return pairs
  }

  private static func call(
    _ name: String, of items: JinjaItems, _ receiver: JinjaValue, _ arguments: JinjaArguments,
    _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    if refusedByLists.contains(name) { throw refusal(of: name, by: "list") }
    if name == "copy" {
      try arguments.requireNone(of: name)
      return receiver
    }
    guard let wanted = try arguments.bound(to: "value", of: name) else { throw .evaluation("\(name) needs a value") }
    var count = 0
    for (index, element) in items.elements.enumerated() where try element.equals(wanted, &budget) {
      if name == "index" { return .int(index) }
      count += 1
    }
    guard name == "count" else { throw .evaluation("the value is not in the list") }
    return .int(count)
  }

  private static func refusal(of name: String, by type: String) -> TemplateFault {
    .evaluation("'\(name)' would change a \(type), which a chat template may not; use a namespace and '+'")
  }
}
