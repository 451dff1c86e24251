/// The key-value pairs of a GGUF file, in file order.
///
/// A typed accessor returns nil if the key is missing or its value is of another kind.
package struct GGUFMetadata: Sendable {
  package private(set) var keys: [String] = []
  private var values: [String: GGUFValue] = [:]

  package subscript(key: String) -> GGUFValue? { values[key] }

  package func string(_ key: String) -> String? {
    if case .string(let value)? = values[key] { value } else { nil }
  }

  /// Of any integer type, if it fits.
  package func integer(_ key: String) -> Int? { values[key]?.integer }

  /// Of any number type.
  package func double(_ key: String) -> Double? { values[key]?.double }

  package func bool(_ key: String) -> Bool? {
    if case .bool(let value)? = values[key] { value } else { nil }
  }

  package func strings(_ key: String) -> [String]? {
    elements(key) { if case .string(let value) = $0 { value } else { nil } }
  }

  package func bools(_ key: String) -> [Bool]? {
    elements(key) { if case .bool(let value) = $0 { value } else { nil } }
  }

  package func integers(_ key: String) -> [Int]? { elements(key, \.integer) }

  package func floats(_ key: String) -> [Float]? { elements(key) { $0.double.map(Float.init) } }

  /// - Returns: false if the key is there already.
  mutating func append(_ key: String, _ value: GGUFValue) -> Bool {
    guard values.updateValue(value, forKey: key) == nil else { return false }
    keys.append(key)
    return true
  }

  /// nil unless the value is an array and every element converts.
  private func elements<Element>(_ key: String, _ convert: (GGUFValue) -> Element?) -> [Element]? {
    let (all, count): ([GGUFValue], Int)
    switch values[key] {
    case .array(let array)?: (all, count) = (array.values(), array.count)
    case .list(let list)?: (all, count) = (list, list.count)
    default: return nil
    }
    let elements = all.compactMap(convert)
    return elements.count == count ? elements : nil
  }
}

extension GGUFValue {
  fileprivate var integer: Int? {
    switch self {
    case .signed(let value): Int(exactly: value)
    case .unsigned(let value): Int(exactly: value)
    default: nil
    }
  }

  fileprivate var double: Double? {
    switch self {
    case .signed(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: nil
    }
  }
}
