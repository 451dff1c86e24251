import Glibc

/// Python's operators.
extension JinjaValue {
  // MARK: - Comparing

  func equals(_ other: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> Bool {
    try budget.spend()
    switch (self, other) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let left), .string(let right)):
      try budget.spend(textBytes: min(left.utf8.count, right.utf8.count))
      return left.utf8.elementsEqual(right.utf8)
    case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
      guard left.elements.count == right.elements.count else { return false }
      for (left, right) in zip(left.elements, right.elements) {
        guard try left.equals(right, &budget) else { return false }
      }
      return true
    case (.dictionary(let left), .dictionary(let right)):
      guard left.map.entries.count == right.map.entries.count else { return false }
      for (key, value) in left.map.entries {
        guard let other = right.map[key], try value.equals(other, &budget) else { return false }
      }
      return true
    case (.namespace(let left), .namespace(let right)): return left === right
    case (.loop(let left), .loop(let right)): return left === right
    default:
      if let left = integer, let right = other.integer { return left == right }
      if let left = number, let right = other.number { return left == right }
      return false
    }
  }

  /// - Returns: Whether `self < other`; what cannot be ordered is a fault.
  func isLess(than other: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> Bool {
    try budget.spend()
    switch (self, other) {
    case (.string(let left), .string(let right)):
      try budget.spend(textBytes: min(left.utf8.count, right.utf8.count))
      return left.utf8.lexicographicallyPrecedes(right.utf8)
    case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
      for (left, right) in zip(left.elements, right.elements) where try !left.equals(right, &budget) {
        return try left.isLess(than: right, &budget)
      }
      return left.elements.count < right.elements.count
    default:
      if let left = integer, let right = other.integer { return left < right }
      if let left = number, let right = other.number { return left < right }
      throw .evaluation("'\(typeName)' and '\(other.typeName)' have no order")
    }
  }

  /// Whether `self <= other`.
  private func isOrdered(before other: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> Bool {
    if try isLess(than: other, &budget) { return true }
    return try equals(other, &budget)
  }

  func compares(
    _ comparison: ComparisonOperator, _ other: JinjaValue, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> Bool {
    switch comparison {
    case .equal: try equals(other, &budget)
    case .notEqual: try !equals(other, &budget)
    case .less: try isLess(than: other, &budget)
    case .greater: try other.isLess(than: self, &budget)
    case .lessOrEqual: try isOrdered(before: other, &budget)
    case .greaterOrEqual: try other.isOrdered(before: self, &budget)
    case .contained: try other.contains(self, &budget)
    case .notContained: try !other.contains(self, &budget)
    }
  }

  func contains(_ element: JinjaValue, _ budget: inout TemplateBudget) throws(TemplateFault) -> Bool {
    switch self {
    case .string(let text):
      guard case .string(let part) = element else {
        throw .evaluation("'in <string>' requires string as left operand, not \(element.typeName)")
      }
      try budget.spend(textBytes: text.utf8.count)
      return PythonText.find(part, in: text) != nil
    case .dictionary(let dictionary):
      guard case .string(let key) = element else { return false }
      return dictionary.map[key] != nil
    default:
      for candidate in try elements(&budget) where try candidate.equals(element, &budget) { return true }
      return false
    }
  }

  // MARK: - Calculating

  func combined(
    _ operation: ArithmeticOperator, with other: JinjaValue, _ budget: inout TemplateBudget
  ) throws(TemplateFault) -> JinjaValue {
    if case .undefined(let what) = self { throw .evaluation(what) }
    if case .undefined(let what) = other { throw .evaluation(what) }
    if let left = integer, let right = other.integer { return try Self.integers(operation, left, right) }
    if let left = number, let right = other.number { return try Self.floats(operation, left, right) }
    switch (operation, self, other) {
    case (.add, .string(let left), .string(let right)):
      try budget.spend(textBytes: left.utf8.count + right.utf8.count)
      return .string(left + right)
    case (.add, .list(let left), .list(let right)):
      try budget.spend(left.elements.count + right.elements.count)
      return .list(try JinjaItems(left.elements + right.elements))
    case (.add, .tuple(let left), .tuple(let right)):
      try budget.spend(left.elements.count + right.elements.count)
      return .tuple(try JinjaItems(left.elements + right.elements))
    case (.multiply, .string(let text), let count), (.multiply, let count, .string(let text)):
      guard let count = count.integer else { break }
      try budget.spend(textBytes: Self.product(text.utf8.count, count))
      return .string(String(repeating: text, count: max(count, 0)))
    case (.multiply, .list(let items), let count), (.multiply, let count, .list(let items)):
      guard let count = count.integer else { break }
      try budget.spend(Self.product(items.elements.count, count))
      return .list(try JinjaItems((0..<max(count, 0)).flatMap { _ in items.elements }))
    case (.remainder, .string(let format), _):
      return .string(try PythonFormat.percent(format, other, &budget))
    default: break
    }
    throw .evaluation(
      "unsupported operand types for \(operation.rawValue): '\(typeName)' and '\(other.typeName)'")
  }

  func negated() throws(TemplateFault) -> JinjaValue {
    if case .undefined(let what) = self { throw .evaluation(what) }
    if let value = integer { return try Self.integers(.subtract, 0, value) }
    guard let value = number else { throw .evaluation("bad operand type for unary -: '\(typeName)'") }
    return .double(-value)
  }

  func unchanged() throws(TemplateFault) -> JinjaValue {
    if case .undefined(let what) = self { throw .evaluation(what) }
    if let value = integer { return .int(value) }
    guard number != nil else { throw .evaluation("bad operand type for unary +: '\(typeName)'") }
    return self
  }

  var number: Double? {
    if case .double(let value) = self { value } else { integer.map(Double.init) }
  }

  /// Saturates, for a budget to refuse.
  private static func product(_ left: Int, _ right: Int) -> Int {
    let (product, overflow) = max(left, 0).multipliedReportingOverflow(by: max(right, 0))
    return overflow ? .max : product
  }

  private static func integers(
    _ operation: ArithmeticOperator, _ left: Int, _ right: Int
  ) throws(TemplateFault) -> JinjaValue {
    let result: (partialValue: Int, overflow: Bool)
    switch operation {
    case .add: result = left.addingReportingOverflow(right)
    case .subtract: result = left.subtractingReportingOverflow(right)
    case .multiply: result = left.multipliedReportingOverflow(by: right)
    case .divide: return try floats(operation, Double(left), Double(right))
    case .floorDivide, .remainder:
      guard right != 0 else { throw .evaluation("division by zero") }
      guard right != -1 else {
        result = operation == .remainder ? (0, false) : (0).subtractingReportingOverflow(left)
        break
      }
      let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
      let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
      result = (operation == .remainder ? remainder + (isBelow ? right : 0) : quotient - (isBelow ? 1 : 0), false)
    case .power:
      guard right >= 0 else { return try floats(operation, Double(left), Double(right)) }
      result = power(left, right)
    }
    guard !result.overflow else {
      throw .limit("\(left) \(operation.rawValue) \(right) is beyond 64 bits")
    }
    return .int(result.partialValue)
  }

  private static func power(_ base: Int, _ exponent: Int) -> (partialValue: Int, overflow: Bool) {
    if base == 0 || base == 1 { return (exponent == 0 ? 1 : base, false) }
    if base == -1 { return (exponent.isMultiple(of: 2) ? 1 : -1, false) }
    var result = 1
    for _ in 0..<min(exponent, 64) {
      let (product, overflow) = result.multipliedReportingOverflow(by: base)
      if overflow { return (0, true) }
      result = product
    }
    return (result, false)
  }

  private static func floats(
    _ operation: ArithmeticOperator, _ left: Double, _ right: Double
  ) throws(TemplateFault) -> JinjaValue {
    switch operation {
    case .add: return .double(left + right)
    case .subtract: return .double(left - right)
    case .multiply: return .double(left * right)
    case .power:
      guard left != 0 || right >= 0 else { throw .evaluation("0.0 cannot be raised to a negative power") }
      guard left >= 0 || right == right.rounded() else { throw .evaluation("a power of \(left) is no real number") }
      return .double(pow(left, right))
    case .divide, .floorDivide, .remainder:
      guard right != 0 else { throw .evaluation("division by zero") }
      if operation == .divide { return .double(left / right) }
      var remainder = fmod(left, right)
      if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
      return .double(operation == .remainder ? remainder : ((left - remainder) / right).rounded())
    }
  }
}
