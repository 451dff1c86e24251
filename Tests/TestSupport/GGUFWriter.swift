import ModelFiles

/// Writes GGUF files for tests: right ones, and wrong ones on request, since nothing is checked.
package struct GGUFWriter {
  /// A metadata value, with the type that the file states.
  package indirect enum Value {
    case uint8(UInt8)
    case uint32(UInt32)
    case uint64(UInt64)
    case int32(Int32)
    case float32(Float)
    case bool(Bool)
    case string(String)
    /// The elements are of one kind.
    case array([Value])
  }

  package struct Tensor {
    package var name: String
    package var type: UInt32
    /// Fastest first.
    package var dimensions: [UInt64]
    package var bytes: [UInt8]
    /// From the start of the data section; nil: after the tensor before it.
    package var offset: UInt64?
  }

  package var version: UInt32 = 3
  package var alignment = 32
  package var metadata: [(key: String, value: Value)] = []
  package var tensors: [Tensor] = []

  package init() {}

  package mutating func add(_ key: String, _ value: Value) { metadata.append((key, value)) }

  /// Replaces the value of a key; nil takes the key out.
  package mutating func set(_ key: String, _ value: Value?) {
    metadata.removeAll { $0.key == key }
    if let value { add(key, value) }
  }

  package mutating func addTensor(_ name: String, type: GGUFTensorType, dimensions: [Int], bytes: [UInt8]) {
    tensors.append(
      Tensor(name: name, type: type.rawValue, dimensions: dimensions.map(UInt64.init), bytes: bytes, offset: nil))
  }

  package func bytes() -> [UInt8] {
    var file = LittleEndianBytes()
    file.append("GGUF".utf8)
    file.append(version)
    file.append(UInt64(tensors.count))
    file.append(UInt64(metadata.count))
    for (key, value) in metadata {
      file.append(string: key)
      file.append(value.typeNumber)
      file.append(value)
    }
    var data = LittleEndianBytes()
    for tensor in tensors {
      data.pad(to: alignment)
      file.append(string: tensor.name)
      file.append(UInt32(tensor.dimensions.count))
      for dimension in tensor.dimensions { file.append(dimension) }
      file.append(tensor.type)
      file.append(tensor.offset ?? UInt64(data.bytes.count))
      data.append(tensor.bytes)
    }
    file.pad(to: alignment)
    return file.bytes + data.bytes
  }

  package func write() -> TemporaryFile { TemporaryFile(bytes(), suffix: ".gguf") }
}

extension GGUFWriter.Value {
  package static func strings(_ strings: [String]) -> Self { .array(strings.map { .string($0) }) }

  fileprivate var typeNumber: UInt32 {
    switch self {
    case .uint8: 0
    case .uint32: 4
    case .int32: 5
    case .float32: 6
    case .bool: 7
    case .string: 8
    case .array: 9
    case .uint64: 10
    }
  }
}

private struct LittleEndianBytes {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  mutating func append<T: FixedWidthInteger>(_ integer: T) {
    withUnsafeBytes(of: integer.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func append(string: String) {
    append(UInt64(string.utf8.count))
    append(string.utf8)
  }

  mutating func append(_ value: GGUFWriter.Value) {
    switch value {
    case .uint8(let value): append(value)
    case .uint32(let value): append(value)
    case .uint64(let value): append(value)
    case .int32(let value): append(value)
    case .float32(let value): append(value.bitPattern)
    case .bool(let value): append(UInt8(value ? 1 : 0))
    case .string(let value): append(string: value)
    case .array(let values):
      append(values.first?.typeNumber ?? 4)
      append(UInt64(values.count))
      for value in values { append(value) }
    }
  }

  mutating func pad(to alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }
}
