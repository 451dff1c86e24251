import Glibc

/// The functions that a template finds without being handed them: Jinja's, and those of transformers.
enum JinjaGlobal: String, CaseIterable {
  case namespace
  case range
  case dict
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"

  /// - Parameter clock: Seconds since 1970.
  func call(
    _ arguments: JinjaArguments, clock: () -> Int, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    switch self {
    case .namespace:
      let namespace = JinjaNamespace()
      for (name, value) in try entries(arguments) { try namespace.set(name, to: value) }
      return .namespace(namespace)
    case .dict:
      return .dictionary(try JinjaDictionary(TemplateMap(try entries(arguments))))
    case .range: return try range(arguments, &budget)
    case .raiseException:
      guard let message = try arguments.bound(to: "message", of: rawValue) else {
        throw .evaluation("raise_exception needs a message")
      }
      throw .raised(try message.text(&budget))
    case .strftimeNow:
      let format = try arguments.bound(to: "format", of: rawValue).string(for: "format")
      return .string(try Self.time(clock(), format: format))
    }
  }

  /// Named arguments, behind the entries of a dictionary if one is given.
  private func entries(_ arguments: JinjaArguments) throws(TemplateFault) -> [(String, JinjaValue)] {
    var entries: [(String, JinjaValue)] = []
    for argument in arguments.positional {
      guard case .dictionary(let dictionary) = argument, entries.isEmpty else {
        throw .evaluation("\(rawValue) takes one dict and named arguments")
      }
      entries = dictionary.map.entries.map { ($0.key, $0.value) }
    }
    return entries + arguments.named.map { ($0.name, $0.value) }
  }

  private func range(
    _ arguments: JinjaArguments, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    let bounds = arguments.positional.compactMap(\.integer)
    guard arguments.named.isEmpty, bounds.count == arguments.positional.count, (1...3).contains(bounds.count) else {
      throw .evaluation("range takes one to three ints")
    }
    let start = bounds.count > 1 ? bounds[0] : 0
    let stop = bounds.count > 1 ? bounds[1] : bounds[0]
    let step = bounds.count > 2 ? bounds[2] : 1
    guard step != 0 else { throw .evaluation("range() arg 3 must not be zero") }
    var numbers: [JinjaValue] = []
    var number = start
    while step > 0 ? number < stop : number > stop {
      guard numbers.count < TemplateBudget.maximumRange else {
        throw .limit("a range has more than \(TemplateBudget.maximumRange) elements")
      }
      numbers.append(.int(number))
      let (next, overflow) = number.addingReportingOverflow(step)
      if overflow { break }
      number = next
    }
    try budget.spend(numbers.count)
    return .list(try JinjaItems(numbers))
  }

  /// The local time, as C's `strftime` writes it.
  private static func time(_ seconds: Int, format: String) throws(TemplateFault) -> String {
    guard format.utf8.count <= 256 else { throw .limit("a strftime format has more than 256 bytes") }
    guard !format.isEmpty else { return "" }
    var moment = time_t(seconds)
    var parts = tm()
    guard localtime_r(&moment, &parts) != nil else { throw .evaluation("the clock's time is no date") }
    var buffer = [CChar](repeating: 0, count: 4096)
    let written = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer.prefix(written).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
