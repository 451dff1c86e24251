/// Appends little-endian fields.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func integer(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func raw(_ value: [UInt8]) { bytes.append(contentsOf: value) }

  /// Length as UInt16, then the bytes; cut at `ByteReader.blobLimit`.
  mutating func blob(_ value: some Collection<UInt8>) {
    let value = value.prefix(ByteReader.blobLimit)
    integer(UInt16(value.count))
    bytes.append(contentsOf: value)
  }

  mutating func string(_ value: String) { blob(value.utf8) }
}

/// What is wrong with bytes that a peer sent.
package struct WireError: Error {
  package let text: String
}

/// Takes little-endian fields from untrusted bytes; what is missing or too long is a `WireError`.
struct ByteReader {
  static let blobLimit = 4096

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var remaining: Int { bytes.count - position }

  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(WireError) -> Value {
    let field = try raw(MemoryLayout<Value>.size)
    return field.reversed().reduce(Value.zero) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }

  mutating func raw(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
    guard count <= remaining else { throw WireError(text: "a frame ends before its fields do") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  mutating func blob() throws(WireError) -> [UInt8] {
    let count = Int(try integer(UInt16.self))
    guard count <= Self.blobLimit else { throw WireError(text: "a field of \(count) bytes") }
    return Array(try raw(count))
  }

  mutating func string() throws(WireError) -> String {
    guard let string = String(validating: try blob(), as: UTF8.self) else {
      throw WireError(text: "a text that is not UTF-8")
    }
    return string
  }

  func end() throws(WireError) {
    guard remaining == 0 else { throw WireError(text: "\(remaining) bytes after the last field of a frame") }
  }
}
