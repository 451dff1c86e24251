import ModelFiles

/// Metadata under the architecture's prefix, each number checked to lie where a model's can.
struct HyperparameterReader {
  /// No width or count of a Llama comes near; products of three still fit into an `Int`.
  static let usualLimit = 1 << 20

  let metadata: GGUFMetadata
  let architecture: String

  func has(_ key: String) -> Bool { metadata[path(key)] != nil }

  func positive(_ key: String, default value: Int? = nil, limit: Int = usualLimit) throws(ModelError) -> Int {
    guard has(key) else {
      guard let value else { throw .missingMetadata(key: path(key)) }
      return value
    }
    guard let number = metadata.integer(path(key)), (1...limit).contains(number) else {
      throw invalid(key, "an integer from 1 to \(limit)")
    }
    return number
  }

  /// nil if the key is missing.
  func positiveOrZero(_ key: String) throws(ModelError) -> Int? {
    guard has(key) else { return nil }
    guard let number = metadata.integer(path(key)), number >= 0 else { throw invalid(key, "an integer from 0") }
    return number
  }

  func epsilon(_ key: String) throws(ModelError) -> Float {
    guard has(key) else { throw .missingMetadata(key: path(key)) }
    guard let number = metadata.double(path(key)), number > 0, number < 1 else { throw invalid(key, "between 0 and 1") }
    return Float(number)
  }

  func positiveNumber(_ key: String, default value: Double) throws(ModelError) -> Double {
    guard has(key) else { return value }
    guard let number = metadata.double(path(key)), number > 0, number.isFinite else {
      throw invalid(key, "a positive number")
    }
    return number
  }

  /// nil if the key is missing or its value zero.
  func softcap(_ key: String) throws(ModelError) -> Float? {
    guard has(key) else { return nil }
    guard let cap = metadata.double(path(key)).map(Float.init), cap >= 0, cap.isFinite else {
      throw invalid(key, "a number from 0")
    }
    return cap == 0 ? nil : cap
  }

  /// nil if the key is missing, or has one number for all (which the architecture has too).
  func bools(_ key: String, count: Int) throws(ModelError) -> [Bool]? {
    guard has(key), metadata.integer(path(key)) == nil else { return nil }
    guard let values = metadata.bools(path(key)), values.count == count else {
      throw invalid(key, "\(count) truth values")
    }
    return values
  }

  func string(_ key: String) -> String? { metadata.string(path(key)) }

  func invalid(_ key: String, _ expected: String) -> ModelError {
    .invalidMetadata(key: path(key), found: metadata[path(key)].map { "\($0)" } ?? "missing", expected: expected)
  }

  private func path(_ key: String) -> String { "\(architecture).\(key)" }
}
