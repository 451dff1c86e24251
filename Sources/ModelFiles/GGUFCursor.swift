/// Reads the little-endian fields of a mapped file, each checked against the bytes left.
struct GGUFCursor {
  /// Deeper nesting is refused: no model needs it, and recursion has a price.
  static let deepestNesting = 4

  let file: MappedFile
  private(set) var offset: Int

  init(file: MappedFile, offset: Int = 0) {
    self.file = file
    self.offset = offset
  }

  var bytesLeft: Int { file.bytes.count - offset }

  func error(_ problem: GGUFError.Problem, at offset: Int? = nil) -> GGUFError {
    GGUFError(path: file.path, offset: offset ?? self.offset, problem: problem)
  }

  mutating func integer<T: FixedWidthInteger>(
    _ type: T.Type, _ expected: @autoclosure () -> String
  ) throws(GGUFError) -> T {
    let start = try advance(MemoryLayout<T>.size, expected())
    return T(littleEndian: file.bytes.loadUnaligned(fromByteOffset: start, as: T.self))
  }

  /// A 64-bit count of things that take at least `smallestSize` bytes each.
  mutating func count(of what: String, smallestSize: Int) throws(GGUFError) -> Int {
    let start = offset
    let count = try integer(UInt64.self, "the count of \(what)")
    let limit = bytesLeft / smallestSize
    guard count <= limit else { throw error(.impossibleCount(of: what, count: count, limit: limit), at: start) }
    return Int(count)
  }

  /// A 64-bit length and that many bytes of UTF-8.
  mutating func string(_ expected: @autoclosure () -> String) throws(GGUFError) -> String {
    let length = try integer(UInt64.self, expected())
    guard length <= bytesLeft else { throw error(.truncated(expected: expected(), needed: length, left: bytesLeft)) }
    let start = try advance(Int(length), expected())
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start..<offset])
    // Decoding repairs what is not UTF-8, so equal bytes were valid; `String(validating:)` takes three times as long.
    var string = String(decoding: bytes, as: UTF8.self)
    guard string.withUTF8({ $0.elementsEqual(bytes) }) else {
      throw error(.invalidUTF8(in: expected()), at: start)
    }
    return string
  }

  /// A string of at least one byte.
  mutating func name(_ expected: String) throws(GGUFError) -> String {
    let start = offset
    let name = try string(expected)
    guard !name.isEmpty else { throw error(.emptyName(of: expected), at: start) }
    return name
  }

  /// A value type, then a value of that type.
  mutating func typedValue(key: String) throws(GGUFError) -> GGUFValue {
    try value(of: try valueType(key: key), key: key, depth: 0)
  }

  /// - Parameter depth: How many arrays this value lies in.
  mutating func value(of type: GGUFValueType, key: String, depth: Int) throws(GGUFError) -> GGUFValue {
    switch type {
    case .uint8: .unsigned(UInt64(try integer(UInt8.self, "a uint8")))
    case .int8: .signed(Int64(try integer(Int8.self, "an int8")))
    case .uint16: .unsigned(UInt64(try integer(UInt16.self, "a uint16")))
    case .int16: .signed(Int64(try integer(Int16.self, "an int16")))
    case .uint32: .unsigned(UInt64(try integer(UInt32.self, "a uint32")))
    case .int32: .signed(Int64(try integer(Int32.self, "an int32")))
    case .uint64: .unsigned(try integer(UInt64.self, "a uint64"))
    case .int64: .signed(try integer(Int64.self, "an int64"))
    case .float32: .float32(Float(bitPattern: try integer(UInt32.self, "a float32")))
    case .float64: .float64(Double(bitPattern: try integer(UInt64.self, "a float64")))
    case .bool: .bool(try bool(key: key))
    case .string: .string(try string("a string of key \(key)"))
    case .array: .array(try array(key: key, depth: depth + 1))
    }
  }

  private mutating func bool(key: String) throws(GGUFError) -> Bool {
    let byte = try integer(UInt8.self, "a bool")
    guard byte <= 1 else { throw error(.invalidBool(byte, key: key), at: offset - 1) }
    return byte == 1
  }

  private mutating func valueType(key: String) throws(GGUFError) -> GGUFValueType {
    let number = try integer(UInt32.self, "the value type of key \(key)")
    guard let type = GGUFValueType(rawValue: number) else {
      throw error(.unknownValueType(number, key: key), at: offset - 4)
    }
    return type
  }

  /// Walks over an array's elements and checks them, without keeping them.
  private mutating func array(key: String, depth: Int) throws(GGUFError) -> GGUFArray {
    guard depth <= Self.deepestNesting else {
      throw error(.nestedTooDeep(limit: Self.deepestNesting, key: key))
    }
    let type = try valueType(key: key)
    let count = try count(of: "elements of key \(key)", smallestSize: type.smallestSize)
    let array = GGUFArray(file: file, key: key, elementType: type, offset: offset, count: count)
    if type.hasFixedSize && type != .bool {
      _ = try advance(count * type.smallestSize, "the elements of key \(key)")
    } else {
      for _ in 0..<count { _ = try value(of: type, key: key, depth: depth) }
    }
    return array
  }

  /// Moves past `length` bytes, and returns where they start.
  private mutating func advance(_ length: Int, _ expected: @autoclosure () -> String) throws(GGUFError) -> Int {
    guard length <= bytesLeft else {
      throw error(.truncated(expected: expected(), needed: UInt64(length), left: bytesLeft))
    }
    defer { offset += length }
    return offset
  }
}
