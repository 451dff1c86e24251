/// A metadata value. Integers keep their value, not their width.
package enum GGUFValue: Sendable {
  case signed(Int64)
  case unsigned(UInt64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
  /// An array that comes from elsewhere than a GGUF file.
  case list([GGUFValue])
}

extension GGUFValue: CustomStringConvertible {
  /// For people: strings quoted and escaped, long arrays cut to their first elements and their count.
  package var description: String {
    switch self {
    case .signed(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .float32(let value): "\(value)"
    case .float64(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .string(let value): value.debugDescription
    case .array(let array): array.description
    case .list(let values): describe(values.prefix(6), count: values.count)
    }
  }
}

/// The type numbers of the file format.
enum GGUFValueType: UInt32 {
  case uint8 = 0
  case int8 = 1
  case uint16 = 2
  case int16 = 3
  case uint32 = 4
  case int32 = 5
  case float32 = 6
  case bool = 7
  case string = 8
  case array = 9
  case uint64 = 10
  case int64 = 11
  case float64 = 12

  /// Bytes of the smallest value: a string's length; an array's element type and count.
  var smallestSize: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }

  /// Whether every value takes `smallestSize` bytes.
  var hasFixedSize: Bool { self != .string && self != .array }
}

/// An array in the mapped file, decoded when asked for: a hostile count costs no memory.
package struct GGUFArray: Sendable {
  let file: MappedFile
  let key: String
  let elementType: GGUFValueType
  /// Of the first element.
  let offset: Int
  package let count: Int

  /// The first `limit` elements.
  package func values(limit: Int = .max) -> [GGUFValue] {
    var cursor = GGUFCursor(file: file, offset: offset)
    var values: [GGUFValue] = []
    for _ in 0..<min(count, limit) {
      // The array was walked when the file was opened, so this ends early only if someone wrote to the file since.
      guard let value = try? cursor.value(of: elementType, key: key, depth: 1) else { break }
      values.append(value)
    }
    return values
  }
}

extension GGUFArray: CustomStringConvertible {
  package var description: String {
    describe(values(limit: 6)[...], count: count)
  }
}

private func describe(_ first: ArraySlice<GGUFValue>, count: Int) -> String {
  let shown = first.map(\.description).joined(separator: ", ")
  return count <= first.count ? "[\(shown)]" : "[\(shown), … \(count) in all]"
}
