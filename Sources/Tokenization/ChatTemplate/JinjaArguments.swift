/// The values of a call's arguments.
struct JinjaArguments {
  var positional: [JinjaValue] = []
  var named: [(name: String, value: JinjaValue)] = []

  /// Assigns the arguments to `parameters` as Python does; what is not given is nil.
  ///
  /// - Parameter callee: Named in the fault when there are too many, or one of an unknown name.
  func bound(to parameters: [String], of callee: String) throws(TemplateFault) -> [JinjaValue?] {
    guard positional.count <= parameters.count else {
      throw .evaluation("\(callee) takes at most \(parameters.count) arguments, not \(positional.count)")
    }
    var values: [JinjaValue?] = positional.map { $0 }
    values += Array(repeating: nil, count: parameters.count - positional.count)
    for (name, value) in named {
      guard let index = parameters.firstIndex(of: name) else {
        throw .evaluation("\(callee) has no argument '\(name)'")
      }
      guard values[index] == nil else { throw .evaluation("\(callee) is given '\(name)' twice") }
      values[index] = value
    }
    return values
  }

  func bound(to parameter: String, of callee: String) throws(TemplateFault) -> JinjaValue? {
    try bound(to: [parameter], of: callee)[0]
  }

  func requireNone(of callee: String) throws(TemplateFault) {
    _ = try bound(to: [], of: callee)
  }
}

extension JinjaValue? {
  /// The argument as a text; `standard` if not given.
  func string(or standard: String? = nil, for name: String) throws(TemplateFault) -> String {
    switch self {
    case .string(let text): return text
    case nil:
      guard let standard else { throw .evaluation("the argument '\(name)' is missing") }
      return standard
    case let other?: throw .evaluation("the argument '\(name)' must be a str, not \(other.typeName)")
    }
  }

  /// The argument as a text, or nil if not given or `None`.
  func optionalString(for name: String) throws(TemplateFault) -> String? {
    if case nil = self { return nil }
    if case .some(.none) = self { return nil }
    return try string(for: name)
  }

  func integer(or standard: Int, for name: String) throws(TemplateFault) -> Int {
    guard let value = self else { return standard }
    guard let integer = value.integer else {
      throw .evaluation("the argument '\(name)' must be an int, not \(value.typeName)")
    }
    return integer
  }

  func isTrue(or standard: Bool) -> Bool { self?.isTrue ?? standard }
}
