/// `value.name`, `value[key]` and `value[start:stop:step]`.
extension JinjaValue {
  /// `value.name`: a method before an entry of that name, as in Python.
  func attribute(_ name: String) throws(TemplateFault) -> JinjaValue {
    if case .undefined(let what) = self { throw .evaluation(what) }
    if JinjaMethods.names(of: self).contains(name) { return .function(.method(self, name)) }
    let found: JinjaValue? =
      switch self {
      case .dictionary(let dictionary): dictionary.map[name]
      case .namespace(let namespace): namespace.attributes[name]
      case .loop(let loop): loop[name]
      default: nil
      }
    return found ?? .undefined("'\(typeName) object' has no attribute '\(name)'")
  }

  /// `value[key]`: an entry before a method of that name.
  func item(_ key: JinjaValue) throws(TemplateFault) -> JinjaValue {
    switch (self, key) {
    case (.undefined(let what), _): throw .evaluation(what)
    case (.dictionary(let dictionary), .string(let name)):
      if let value = dictionary.map[name] { return value }
      return try attribute(name)
    case (_, .string(let name)): return try attribute(name)
    case (.list(let items), _), (.tuple(let items), _):
      guard let index = key.integer, let place = Self.place(index, of: items.elements.count) else { break }
      return items.elements[place]
    case (.string(let text), _):
      let scalars = text.unicodeScalars
      guard let index = key.integer, let place = Self.place(index, of: scalars.count) else { break }
      return .string(String(Character(scalars[scalars.index(scalars.startIndex, offsetBy: place)])))
    default: break
    }
    return .undefined("'\(typeName) object' has no such item")
  }

  func slice(
    start: JinjaValue?, stop: JinjaValue?, step: JinjaValue?, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    if case .undefined(let what) = self { throw .evaluation(what) }
    let bounds = (try Self.bound(start), try Self.bound(stop), try Self.bound(step))
    switch self {
    case .list(let items): return .list(try JinjaItems(try Self.sliced(items.elements, bounds, &budget)))
    case .tuple(let items): return .tuple(try JinjaItems(try Self.sliced(items.elements, bounds, &budget)))
    case .string(let text):
      var view = String.UnicodeScalarView()
      view.append(contentsOf: try Self.sliced(Array(text.unicodeScalars), bounds, &budget))
      return .string(String(view))
    default: return .undefined("'\(typeName) object' cannot be sliced")
    }
  }

  private static func place(_ index: Int, of count: Int) -> Int? {
    let place = index < 0 ? index + count : index
    return (0..<count).contains(place) ? place : nil
  }

  private static func bound(_ value: JinjaValue?) throws(TemplateFault) -> Int? {
    guard let value else { return nil }
    if case .none = value { return nil }
    guard let index = value.integer else { throw .evaluation("slice indices must be integers or None") }
    return index
  }

  private static func sliced<Element>(
    _ elements: [Element], _ bounds: (start: Int?, stop: Int?, step: Int?), _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> [Element] {
    let count = elements.count
    let step = bounds.step ?? 1
    guard step != 0 else { throw .evaluation("slice step cannot be zero") }
    try budget.spend(count)
    /// Python clamps a bound to -1...count-1 when it walks backwards, to 0...count when it walks forwards.
    func clamped(_ index: Int?, standard: Int) -> Int {
      guard let index else { return standard }
      let place = index < 0 ? max(index, -count - 1) + count : index
      return step < 0 ? min(max(place, -1), count - 1) : min(max(place, 0), count)
    }
    let start = clamped(bounds.start, standard: step < 0 ? count - 1 : 0)
    let stop = clamped(bounds.stop, standard: step < 0 ? -1 : count)
    let stride = max(min(step, count + 1), -count - 1)
    return Swift.stride(from: start, to: stop, by: stride).map { elements[$0] }
  }
}
