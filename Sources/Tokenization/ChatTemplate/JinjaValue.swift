/// A value while a template runs, with Python's meaning.
///
/// Lists and dictionaries cannot change (the sandbox is immutable) and hold data only: no namespace, function or
/// loop. So values form no cycle, and their depth is known.
enum JinjaValue {
  /// Not there; the text says what was looked for.
  case undefined(String)
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case list(JinjaItems)
  case tuple(JinjaItems)
  /// What Python computes lazily: the result of `map`, `select`, `items`, … (no length), or a view such as `d.keys()`.
  case iterator(JinjaItems, isView: Bool)
  case dictionary(JinjaDictionary)
  case namespace(JinjaNamespace)
  case function(JinjaFunction)
  case loop(JinjaLoop)
}

/// The elements of a list, and how deep they nest.
struct JinjaItems {
  let elements: [JinjaValue]
  let depth: Int

  init(_ elements: [JinjaValue]) throws(TemplateFault) {
    var deepest = 0
    for element in elements { deepest = max(deepest, try element.depthAsPart()) }
    self.elements = elements
    depth = try JinjaValue.checked(depth: deepest + 1)
  }
}

struct JinjaDictionary {
  let map: TemplateMap<JinjaValue>
  let depth: Int

  init(_ map: TemplateMap<JinjaValue>) throws(TemplateFault) {
    var deepest = 0
    for entry in map.entries { deepest = max(deepest, try entry.value.depthAsPart()) }
    self.map = map
    depth = try JinjaValue.checked(depth: deepest + 1)
  }
}

/// What `namespace()` makes: the one thing that an inner scope can change for an outer one.
final class JinjaNamespace {
  private(set) var attributes: [String: JinjaValue] = [:]

  func set(_ name: String, to value: JinjaValue) throws(TemplateFault) {
    _ = try value.depthAsPart()
    attributes[name] = value
  }
}

indirect enum JinjaFunction {
  case global(JinjaGlobal)
  case method(JinjaValue, String)
  case macro(JinjaMacro)
}

/// A macro with the scope that it was defined in. The scope owns the macro, so not the other way around.
final class JinjaMacro {
  let definition: TemplateMacro
  weak var scope: JinjaScope?

  init(_ definition: TemplateMacro, in scope: JinjaScope) {
    self.definition = definition
    self.scope = scope
  }
}

/// The variable `loop`.
final class JinjaLoop {
  let items: [JinjaValue]
  let depth: Int
  var index = 0

  init(items: [JinjaValue], depth: Int) {
    self.items = items
    self.depth = depth
  }

  subscript(name: String) -> JinjaValue? {
    switch name {
    case "index": .int(index + 1)
    case "index0": .int(index)
    case "revindex": .int(items.count - index)
    case "revindex0": .int(items.count - index - 1)
    case "first": .bool(index == 0)
    case "last": .bool(index == items.count - 1)
    case "length": .int(items.count)
    case "depth": .int(depth)
    case "depth0": .int(depth - 1)
    case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
    case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
    case "cycle": .function(.method(.loop(self), name))
    default: nil
    }
  }
}

/// Variables, those of the enclosing scopes behind them.
final class JinjaScope {
  private var variables: [String: JinjaValue]
  private let outer: JinjaScope?

  init(_ variables: [String: JinjaValue] = [:], in outer: JinjaScope?) {
    self.variables = variables
    self.outer = outer
  }

  func set(_ name: String, to value: JinjaValue) { variables[name] = value }

  subscript(name: String) -> JinjaValue? {
    var scope: JinjaScope? = self
    while let here = scope {
      if let value = here.variables[name] { return value }
      scope = here.outer
    }
    return nil
  }
}

extension JinjaValue {
  init(_ value: TemplateValue, level: Int = 0) throws(TemplateFault) {
    _ = try Self.checked(depth: level)
    switch value {
    case .undefined: self = .undefined("it was not given")
    case .none: self = .none
    case .bool(let value): self = .bool(value)
    case .int(let value): self = .int(value)
    case .double(let value): self = .double(value)
    case .string(let value): self = .string(value)
    case .array(let elements):
      var items: [JinjaValue] = []
      items.reserveCapacity(elements.count)
      for element in elements { items.append(try JinjaValue(element, level: level + 1)) }
      self = .list(try JinjaItems(items))
    case .object(let object):
      var map = TemplateMap<JinjaValue>()
      for (key, value) in object.entries { map[key] = try JinjaValue(value, level: level + 1) }
      self = .dictionary(try JinjaDictionary(map))
    }
  }

  /// Python's name for the type, for messages.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "None"
    case .bool: "bool"
    case .int: "int"
    case .double: "float"
    case .string: "str"
    case .list: "list"
    case .tuple: "tuple"
    case .iterator(_, let isView): isView ? "view" : "iterator"
    case .dictionary: "dict"
    case .namespace: "namespace"
    case .function: "function"
    case .loop: "loop"
    }
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .double(let value): value != 0
    case .string(let value): !value.isEmpty
    case .list(let items), .tuple(let items), .iterator(let items, isView: true): !items.elements.isEmpty
    case .dictionary(let dictionary): !dictionary.map.entries.isEmpty
    case .iterator, .namespace, .function, .loop: true
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }

  /// The value as a number, `True` being 1, or nil.
  var integer: Int? {
    switch self {
    case .int(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// What a `for` over the value sees.
  func elements(_ budget: inout TemplateBudget) throws(TemplateFault) -> [JinjaValue] {
    switch self {
    case .undefined: return []
    case .list(let items), .tuple(let items), .iterator(let items, _):
      try budget.spend(items.elements.count)
      return items.elements
    case .dictionary(let dictionary):
      try budget.spend(dictionary.map.entries.count)
      return dictionary.map.entries.map { .string($0.key) }
    case .string(let text):
      try budget.spend(text.utf8.count)
      return text.unicodeScalars.map { .string(String(Character($0))) }
    default: throw .evaluation("'\(typeName)' object is not iterable")
    }
  }

  /// Python's `len`; texts are counted in code points.
  func length(_ budget: inout TemplateBudget) throws(TemplateFault) -> Int {
    switch self {
    case .undefined: return 0
    case .list(let items), .tuple(let items), .iterator(let items, isView: true): return items.elements.count
    case .dictionary(let dictionary): return dictionary.map.entries.count
    case .string(let text):
      try budget.spend(textBytes: text.utf8.count)
      return text.unicodeScalars.count
    case .loop(let loop): return loop.items.count
    default: throw .evaluation("object of type '\(typeName)' has no len()")
    }
  }

  /// How deep the value nests, when it is to become part of another one.
  fileprivate func depthAsPart() throws(TemplateFault) -> Int {
    switch self {
    case .list(let items), .tuple(let items), .iterator(let items, _): return items.depth
    case .dictionary(let dictionary): return dictionary.depth
    case .namespace, .function, .loop: throw .evaluation("a \(typeName) cannot be part of another value")
    default: return 0
    }
  }

  fileprivate static func checked(depth: Int) throws(TemplateFault) -> Int {
    guard depth <= TemplateBudget.maximumValueDepth else {
      throw .limit("a value nests deeper than \(TemplateBudget.maximumValueDepth)")
    }
    return depth
  }
}
