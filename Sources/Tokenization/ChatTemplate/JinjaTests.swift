/// What may stand behind `is`. Source: jinja2's `tests.py` (3.1).
enum JinjaTests {
  typealias Test =
    @Sendable (JinjaValue, JinjaArguments, inout TemplateBudget) throws(TemplateFault) -> Bool

  static let table: [String: Test] = {
    var table: [String: Test] = [
      "divisibleby": divisible, "sameas": same, "in": contained,
      "even": even, "odd": odd, "lower": lower, "upper": upper, "sequence": sequence,
    ]
    for (name, isTrue) in typeTests { table[name] = typeTest(name, isTrue) }
    for (names, comparison) in comparisons {
      for name in names { table[name] = comparisonTest(name, comparison) }
    }
    return table
  }()

  private static func typeTest(_ name: String, _ isTrue: @escaping @Sendable (JinjaValue) -> Bool) -> Test {
    @Sendable func test(
      _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
    ) throws(TemplateFault) -> Bool {
      try arguments.requireNone(of: "the test '\(name)'")
      return isTrue(value)
    }
    return test
  }

  private static func comparisonTest(_ name: String, _ comparison: ComparisonOperator) -> Test {
    @Sendable func test(
      _ value: JinjaValue, _ arguments: JinjaArguments, _ budget: inout TemplateBudget
    ) throws(TemplateFault) -> Bool {
      guard let other = try arguments.bound(to: "other", of: "the test '\(name)'") else {
        throw .evaluation("the test '\(name)' needs an argument")
      }
      return try value.compares(comparison, other, &budget)
    }
    return test
  }

  private static let comparisons: [([String], ComparisonOperator)] = [
    (["eq", "equalto", "=="], .equal), (["ne", "!="], .notEqual),
    (["lt", "lessthan", "<"], .less), (["le", "<="], .lessOrEqual),
    (["gt", "greaterthan", ">"], .greater), (["ge", ">="], .greaterOrEqual),
  ]

  private static let typeTests: [(String, @Sendable (JinjaValue) -> Bool)] = [
    ("defined", { !$0.isUndefined }),
    ("undefined", { $0.isUndefined }),
    ("none", { if case .none = $0 { true } else { false } }),
    ("boolean", { if case .bool = $0 { true } else { false } }),
    ("true", { if case .bool(true) = $0 { true } else { false } }),
    ("false", { if case .bool(false) = $0 { true } else { false } }),
    ("integer", { if case .int = $0 { true } else { false } }),
    ("float", { if case .double = $0 { true } else { false } }),
    ("number", { $0.number != nil }),
    ("string", { if case .string = $0 { true } else { false } }),
    ("mapping", { if case .dictionary = $0 { true } else { false } }),
    ("callable", { if case .function = $0 { true } else { false } }),
    (
      "iterable",
      {
        switch $0 {
        case .undefined, .string, .list, .tuple, .iterator, .dictionary, .loop: true
        default: false
        }
      }
    ),
  ]

  private static func sequence(
    _ value: JinjaValue, _ arguments: JinjaArguments, _: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    try arguments.requireNone(of: "the test 'sequence'")
    return switch value {
    case .undefined, .string, .list, .tuple, .dictionary: true
    default: false
    }
  }

  private static func divisible(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    guard let divisor = try arguments.bound(to: "num", of: "the test 'divisibleby'") else {
      throw .evaluation("the test 'divisibleby' needs an argument")
    }
    return try value.combined(.remainder, with: divisor, &budget).equals(.int(0), &budget)
  }

  private static func even(
    _ value: JinjaValue, _: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    try value.combined(.remainder, with: .int(2), &budget).equals(.int(0), &budget)
  }

  private static func odd(
    _ value: JinjaValue, _: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    try value.combined(.remainder, with: .int(2), &budget).equals(.int(1), &budget)
  }

  private static func contained(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    guard let sequence = try arguments.bound(to: "seq", of: "the test 'in'") else {
      throw .evaluation("the test 'in' needs an argument")
    }
    return try sequence.contains(value, &budget)
  }

  /// Python's `is`: for what has no identity here, equality of type and value.
  private static func same(
    _ value: JinjaValue, _ arguments: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    guard let other = try arguments.bound(to: "other", of: "the test 'sameas'") else {
      throw .evaluation("the test 'sameas' needs an argument")
    }
    guard value.typeName == other.typeName else { return false }
    return try value.equals(other, &budget)
  }

  private static func lower(
    _ value: JinjaValue, _: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    let text = try value.text(&budget)
    try budget.spend(textBytes: text.utf8.count)
    return JinjaStringMethods.isLower(text)
  }

  private static func upper(
    _ value: JinjaValue, _: JinjaArguments, budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    let text = try value.text(&budget)
    try budget.spend(textBytes: text.utf8.count)
    return JinjaStringMethods.isUpper(text)
  }
}
