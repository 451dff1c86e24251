/// Filters over lists, dictionaries and what else can be iterated.
enum JinjaSequenceFilters {
  static let table: [String: JinjaFilters.Filter] = [
    "dictsort": sortedEntries, "first": first, "items": items, "join": joined, "last": last, "list": list,
    "map": mapped,
    "max": maximum, "min": minimum, "reject": rejected, "rejectattr": rejectedByAttribute, "reverse": reversed,
    "select": selected, "selectattr": selectedByAttribute, "sort": sorted, "sum": sum, "unique": unique,
  ]

  // MARK: - Parts

  private static func first(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "first")
    return try value.elements(&budget).first ?? .undefined("No first item, sequence was empty.")
  }

  private static func last(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "last")
    if case .iterator(_, isView: false) = value { throw .evaluation("'iterator' object is not reversible") }
    return try value.elements(&budget).last ?? .undefined("No last item, sequence was empty.")
  }

  private static func list(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "list")
    return .list(try JinjaItems(try value.elements(&budget)))
  }

  private static func items(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "items")
    switch value {
    case .undefined: return try iterator([])
    case .dictionary(let dictionary):
      try budget.spend(dictionary.map.entries.count)
      return try iterator(try JinjaMethods.pairs(dictionary.map.entries))
    default: throw .evaluation("Can only get item pairs from a mapping.")
    }
  }

  private static func reversed(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try arguments.requireNone(of: "reverse")
    if case .string(let text) = value {
      try budget.spend(textBytes: text.utf8.count)
      var scalars = String.UnicodeScalarView()
      scalars.append(contentsOf: text.unicodeScalars.reversed())
      return .string(String(scalars))
    }
    return try iterator(try value.elements(&budget).reversed())
  }

  // MARK: - Reducing

  private static func joined(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["d", "attribute"], of: "join")
    let separator = try (bound[0] ?? .string("")).text(&budget)
    var parts: [String] = []
    for element in try value.elements(&budget) {
      parts.append(try Self.attribute(bound[1], of: element).text(&budget))
    }
    return .string(try JinjaStringMethods.joined(parts, by: separator, &budget))
  }

  private static func sum(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["attribute", "start"], of: "sum")
    var total = bound[1] ?? .int(0)
    if case .string = total { throw .evaluation("sum() can't sum strings; use join") }
    for element in try value.elements(&budget) {
      total = try total.combined(.add, with: try attribute(bound[0], of: element), &budget)
    }
    return total
  }

  private static func minimum(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let order = try JinjaOrder(arguments.bound(to: ["case_sensitive", "attribute"], of: "min"))
    let elements = try value.elements(&budget)
    let places = try order.places(of: elements, descending: false, &budget)
    return places.first.map { elements[$0] } ?? .undefined("No aggregated item, sequence was empty.")
  }

  private static func maximum(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let order = try JinjaOrder(arguments.bound(to: ["case_sensitive", "attribute"], of: "max"))
    let elements = try value.elements(&budget)
    let places = try order.places(of: elements, descending: true, &budget)
    return places.first.map { elements[$0] } ?? .undefined("No aggregated item, sequence was empty.")
  }

  // MARK: - Ordering

  private static func sorted(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["reverse", "case_sensitive", "attribute"], of: "sort")
    let order = try JinjaOrder([bound[1], bound[2]])
    let elements = try value.elements(&budget)
    let places = try order.places(of: elements, descending: bound[0].isTrue(or: false), &budget)
    return .list(try JinjaItems(places.map { elements[$0] }))
  }

  private static func sortedEntries(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bound = try arguments.bound(to: ["case_sensitive", "by", "reverse"], of: "dictsort")
    guard case .dictionary(let dictionary) = value else { throw .evaluation("dictsort needs a dict") }
    let by = try bound[1].string(or: "key", for: "by")
    guard by == "key" || by == "value" else { throw .evaluation("You can only sort by either \"key\" or \"value\"") }
    let order = try JinjaOrder([bound[0], .int(by == "key" ? 0 : 1)])
    let pairs = try JinjaMethods.pairs(dictionary.map.entries)
    let places = try order.places(of: pairs, descending: bound[2].isTrue(or: false), &budget)
    return .list(try JinjaItems(places.map { pairs[$0] }))
  }

  private static func unique(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let order = try JinjaOrder(arguments.bound(to: ["case_sensitive", "attribute"], of: "unique"))
    var seen: [JinjaValue] = []
    var kept: [JinjaValue] = []
    for element in try value.elements(&budget) {
      let key = try order.key(of: element, &budget)
      var isNew = true
      for other in seen where try other.equals(key, &budget) { isNew = false }
      guard isNew else { continue }
      seen.append(key)
      kept.append(element)
    }
    return try iterator(kept)
  }

  // MARK: - Mapping and selecting

  private static func mapped(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    var results: [JinjaValue] = []
    if arguments.positional.isEmpty {
      let bound = try arguments.bound(to: ["attribute", "default"], of: "map")
      guard bound[0] != nil else { throw .evaluation("map requires a filter argument") }
      for element in try value.elements(&budget) {
        let found = try attribute(bound[0], of: element)
        results.append(found.isUndefined ? bound[1] ?? found : found)
      }
    } else {
      var rest = arguments
      let name = try JinjaValue?.some(rest.positional.removeFirst()).string(for: "filter")
      guard let filter = JinjaFilters.table[name] else { throw .evaluation("No filter named '\(name)'.") }
      // Filters that call filters nest: `[[…]]|map('map', 'map', …)`.
      try budget.descend()
      defer { budget.ascend() }
      for element in try value.elements(&budget) { results.append(try filter(element, rest, &budget)) }
    }
    return try iterator(results)
  }

  private static func selected(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try filtered(value, arguments, keeping: true, &budget)
  }

  private static func rejected(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try filtered(value, arguments, keeping: false, &budget)
  }

  private static func selectedByAttribute(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try filteredByAttribute(value, arguments, keeping: true, &budget)
  }

  private static func rejectedByAttribute(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    try filteredByAttribute(value, arguments, keeping: false, &budget)
  }

  private static func filteredByAttribute(
    _ value: JinjaValue, _ arguments: JinjaArguments, keeping: Bool, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    var rest = arguments
    guard !rest.positional.isEmpty else { throw .evaluation("Missing parameter for attribute name") }
    let attribute = rest.positional.removeFirst()
    return try filtered(value, rest, by: attribute, keeping: keeping, &budget)
  }

  /// Keeps the elements whose test, or truth if no test is named, is `keeping`.
  private static func filtered(
    _ value: JinjaValue, _ arguments: JinjaArguments, by attribute: JinjaValue? = nil, keeping: Bool,
    _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    var rest = arguments
    var test: JinjaTests.Test?
    if !rest.positional.isEmpty {
      let name = try JinjaValue?.some(rest.positional.removeFirst()).string(for: "test")
      test = JinjaTests.table[name]
      guard test != nil else { throw .evaluation("No test named '\(name)'.") }
    }
    var kept: [JinjaValue] = []
    for element in try value.elements(&budget) {
      let subject = try Self.attribute(attribute, of: element)
      let passes = try test.map { (test) throws(TemplateFault) in try test(subject, rest, &budget) } ?? subject.isTrue
      if passes == keeping { kept.append(element) }
    }
    return try iterator(kept)
  }

  private static func iterator(_ elements: [JinjaValue]) throws(TemplateFault) -> JinjaValue {
    .iterator(try JinjaItems(elements), isView: false)
  }

  /// The element itself if `path` is nil, else what the dotted path (`function.name`, `0`) leads to.
  static func attribute(_ path: JinjaValue?, of element: JinjaValue) throws(TemplateFault) -> JinjaValue {
    switch path {
    case nil, .some(.none): return element
    case .string(let path)?:
      var value = element
      for part in path.split(separator: ".", omittingEmptySubsequences: false) {
        value = try value.item(Int(part).map(JinjaValue.int) ?? .string(String(part)))
      }
      return value
    case let index?: return try element.item(index)
    }
  }
}

/// How `sort`, `min`, `max` and `unique` look at their elements: by an attribute, and small letters as capitals or not.
private struct JinjaOrder {
  private let isCaseSensitive: Bool
  private let attribute: JinjaValue?

  /// - Parameter bound: The arguments `case_sensitive` and `attribute`.
  init(_ bound: [JinjaValue?]) throws(TemplateFault) {
    isCaseSensitive = bound[0].isTrue(or: false)
    attribute = bound[1]
    if case .string(let path) = attribute, path.utf8.contains(UInt8(ascii: ",")) {
      throw .evaluation("sorting by several attributes ('\(path)') is not known")
    }
  }

  func key(of element: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> JinjaValue {
    let key = try JinjaSequenceFilters.attribute(attribute, of: element)
    guard !isCaseSensitive, case .string(let text) = key else { return key }
    try budget.spend(textBytes: text.utf8.count)
    return .string(text.lowercased())
  }

  /// The indices of `elements` in order; equal ones stay in theirs. All keys must be numbers, or all texts.
  func places(
    of elements: [JinjaValue], descending: Bool, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> [Int] {
    var keys: [JinjaValue] = []
    for element in elements { keys.append(try key(of: element, &budget)) }
    let count = elements.count
    try budget.spend(count * (Int.bitWidth - count.leadingZeroBitCount))
    guard count > 1 else { return Array(keys.indices) }
    if let numbers = all(keys, \.number) { return places(numbers, descending: descending, by: <) }
    let texts = all(keys) { if case .string(let text) = $0 { text } else { nil } }
    guard let texts else { throw .evaluation("only numbers, or only texts, can be put in order") }
    return places(texts, descending: descending) { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  private func all<Key>(_ keys: [JinjaValue], _ convert: (JinjaValue) -> Key?) -> [Key]? {
    let converted = keys.compactMap(convert)
    return converted.count == keys.count ? converted : nil
  }

  private func places<Key>(_ keys: [Key], descending: Bool, by precedes: (Key, Key) -> Bool) -> [Int] {
    keys.indices.sorted { left, right in
      let (first, second) = descending ? (right, left) : (left, right)
      if precedes(keys[first], keys[second]) { return true }
      return !precedes(keys[second], keys[first]) && left < right
    }
  }
}
