/// Reads the fields of a body with pydantic's lenient coercions (`"8"` and `8.0` are the integer 8) and gathers every
/// finding, so that a client sees them at once: read what is needed, then call `finish()`.
///
/// An absent or null field reads as nil, and so does one that is wrong.
struct FieldReader {
  let fields: BodyValue.Fields
  private let path: String
  /// The first ones; a hostile body has millions.
  private var problems: [ValidationProblem] = []
  private var problemCount = 0
  private static let maximumProblems = 16

  init(_ fields: BodyValue.Fields, at path: String = "body") {
    self.fields = fields
    self.path = path
  }

  func finish() throws(APIError) {
    if problemCount > 0 { throw ValidationProblem.error(for: problems, of: problemCount) }
  }

  mutating func note(_ kind: ValidationProblem.Kind, _ key: String, _ input: BodyValue) {
    problemCount += 1
    if problemCount <= Self.maximumProblems {
      problems.append(ValidationProblem(kind, at: "\(path).\(key)", input: input))
    }
  }

  mutating func refuse(_ key: String, _ message: String) {
    note(.value(message), key, fields[key] ?? .null)
  }

  func present(_ key: String) -> BodyValue? {
    guard let value = fields[key], value != .null else { return nil }
    return value
  }

  mutating func bool(_ key: String) -> Bool? {
    guard let value = present(key) else { return nil }
    switch value {
    case .bool(let flag): return flag
    case .integer(0): return false
    case .integer(1): return true
    case .string(let text):
      if ["true", "1", "yes", "on", "t", "y"].contains(text.lowercased()) { return true }
      if ["false", "0", "no", "off", "f", "n"].contains(text.lowercased()) { return false }
      note(.boolParsing, key, value)
    case .integer: note(.boolParsing, key, value)
    default: note(.boolType, key, value)
    }
    return nil
  }

  mutating func int64(_ key: String) -> Int64? {
    guard let value = present(key) else { return nil }
    switch Self.integer(value) {
    case .success(let integer): return integer
    case .failure(let fault):
      note(fault.kind, key, value)
      return nil
    }
  }

  mutating func int(_ key: String) -> Int? { int64(key).map { Int($0) } }

  mutating func double(_ key: String) -> Double? {
    guard let value = present(key) else { return nil }
    switch value {
    case .number(let number): return number
    case .integer(let integer): return Double(integer)
    case .bool(let flag): return flag ? 1 : 0
    case .string(let text):
      if let number = Double(text), number.isFinite { return number }
      note(.floatParsing, key, value)
    default: note(.floatType, key, value)
    }
    return nil
  }

  mutating func string(_ key: String) -> String? {
    guard let value = present(key) else { return nil }
    guard case .string(let text) = value else {
      note(.stringType, key, value)
      return nil
    }
    return text
  }

  mutating func list(_ key: String) -> [BodyValue]? {
    guard let value = present(key) else { return nil }
    guard case .array(let elements) = value else {
      note(.listType, key, value)
      return nil
    }
    return elements
  }

  mutating func dictionary(_ key: String) -> BodyValue.Fields? {
    guard let value = present(key) else { return nil }
    guard case .object(let fields) = value else {
      note(.dictType, key, value)
      return nil
    }
    return fields
  }

  /// Token ids: integers from 0 that fit 32 bits.
  mutating func tokenIDs(_ key: String) -> [Int32]? {
    guard let elements = list(key) else { return nil }
    return tokenIDs(elements, key)
  }

  mutating func tokenIDs(_ elements: [BodyValue], _ key: String) -> [Int32]? {
    var ids: [Int32] = []
    ids.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      switch Self.integer(element) {
      case .success(let id) where id >= 0 && id <= Int64(Int32.max): ids.append(Int32(id))
      case .success:
        note(.outOfRange(0...Int(Int32.max)), "\(key).\(index)", element)
        return nil
      case .failure(let fault):
        note(fault.kind, "\(key).\(index)", element)
        return nil
      }
    }
    return ids
  }

  mutating func strings(_ elements: [BodyValue], _ key: String) -> [String]? {
    var texts: [String] = []
    for (index, element) in elements.enumerated() {
      guard case .string(let text) = element else {
        note(.stringType, "\(key).\(index)", element)
        return nil
      }
      texts.append(text)
    }
    return texts
  }

  struct Fault: Error { var kind: ValidationProblem.Kind }

  static func integer(_ value: BodyValue) -> Result<Int64, Fault> {
    switch value {
    case .integer(let integer): return .success(integer)
    case .bool(let flag): return .success(flag ? 1 : 0)
    case .number(let number):
      guard let integer = Int64(exactly: number) else { return .failure(Fault(kind: .intFromFloat)) }
      return .success(integer)
    case .string(let text):
      guard let integer = Int64(text) else { return .failure(Fault(kind: .intParsing)) }
      return .success(integer)
    case .null, .array, .object: return .failure(Fault(kind: .intType))
    }
  }
}

/// What a handoff ticket needs: absent is an error.
extension FieldReader {
  mutating func requiredString(_ key: String) -> String {
    guard present(key) != nil else {
      note(.missing, key, .object(fields))
      return ""
    }
    return string(key) ?? ""
  }

  mutating func requiredInt(_ key: String, in range: ClosedRange<Int>) -> Int {
    guard let value = present(key) else {
      note(.missing, key, .object(fields))
      return range.lowerBound
    }
    guard let integer = int(key) else { return range.lowerBound }
    if !range.contains(integer) { note(.outOfRange(range), key, value) }
    return integer
  }

  /// `[[1, 2]]`: one list per KV cache group, of which our models have one.
  mutating func requiredBlockIDs(_ key: String) -> [Int] {
    guard present(key) != nil else {
      note(.missing, key, .object(fields))
      return []
    }
    guard let groups = list(key) else { return [] }
    guard groups.count == 1, case .array(let elements) = groups[0] else {
      refuse(key, "Input should be one list of block ids in a list, as [[1, 2]]")
      return []
    }
    return (tokenIDs(elements, "\(key).0") ?? []).map { Int($0) }
  }
}
