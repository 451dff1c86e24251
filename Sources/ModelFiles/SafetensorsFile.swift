/// One shard of weights, mapped: every tensor's bytes lie inside the file.
///
/// Source: github.com/huggingface/safetensors, "Format": a length in 8 bytes, so much JSON, the bytes.
struct SafetensorsFile {
  /// As the file has it.
  struct Tensor {
    let name: String
    let type: GGUFTensorType
    /// Slowest first.
    let shape: [Int]
    /// From the start of the file.
    let byteRange: Range<Int>
  }

  /// The reference implementation's.
  private static let longestHeader = 100_000_000

  let mapping: MappedFile
  let headerRange: Range<Int>
  private(set) var tensors: [Tensor] = []

  init(path: String) throws(ModelFolderError) {
    mapping = try MappedFile.ofModelFolder(path)
    let bytes = mapping.bytes
    guard bytes.count >= 8 else { throw .damagedWeights(path: path, problem: "it has \(bytes.count) bytes") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= min(Self.longestHeader, bytes.count - 8) else {
      throw .damagedWeights(path: path, problem: "its header should have \(length) bytes")
    }
    headerRange = 0..<8 + Int(length)
    let header = try mapping.json(in: 8..<headerRange.upperBound)
    for field in header.fields where field.key != "__metadata__" {
      if let tensor = try tensor(field, path: path) { tensors.append(tensor) }
    }
  }

  /// nil for a scalar, which no model computes with.
  private func tensor(_ field: JSONValue.Field, path: String) throws(ModelFolderError) -> Tensor? {
    let name = field.key
    guard let type = field.value["dtype"]?.string, let shape = field.value["shape"]?.integers,
      let offsets = field.value["data_offsets"]?.integers, offsets.count == 2
    else { throw .damagedWeights(path: path, problem: "the header's entry for \(name) has no dtype, shape or offsets") }
    guard let stored = GGUFTensorType(safetensors: type) else {
      throw .unsupported(path: path, feature: "numbers in \(type) (tensor \(name)); those read are BF16, F16 and F32")
    }
    let size = mapping.bytes.count - headerRange.upperBound
    guard shape.allSatisfy({ $0 > 0 }), let byteCount = stored.byteCount(of: shape), 0 <= offsets[0],
      offsets[0] <= offsets[1], offsets[1] <= size, offsets[1] - offsets[0] == byteCount
    else {
      throw .damagedWeights(path: path, problem: "tensor \(name) of shape \(shape) lies at \(offsets) of \(size) bytes")
    }
    guard !shape.isEmpty else { return nil }
    let start = headerRange.upperBound
    return Tensor(name: name, type: stored, shape: shape, byteRange: start + offsets[0]..<start + offsets[1])
  }
}

extension MappedFile {
  static func ofModelFolder(_ path: String) throws(ModelFolderError) -> MappedFile {
    do throws(GGUFError) {
      return try MappedFile(path: path)
    } catch {
      switch error.problem {
      case .unreadable(let call, let errno): throw .unreadable(path: path, call: call, errno: errno)
      case .notARegularFile: throw .notARegularFile(path: path)
      default: throw .damagedWeights(path: path, problem: "it is empty")
      }
    }
  }
}

extension MappedFile {
  /// - Parameter range: nil: all of the file.
  func json(in range: Range<Int>? = nil) throws(ModelFolderError) -> JSONValue {
    // The mapping is there as long as the object, of which only the bytes are used below.
    defer { withExtendedLifetime(self) {} }
    do throws(JSONSyntaxError) {
      return try JSONParser.parse(UnsafeRawBufferPointer(rebasing: bytes[range ?? 0..<bytes.count]))
    } catch {
      throw .invalidJSON(path: path, offset: (range?.lowerBound ?? 0) + error.offset)
    }
  }
}

extension JSONValue {
  /// nil unless all elements are.
  package var integers: [Int]? {
    guard let elements else { return nil }
    let integers = elements.compactMap(\.integer)
    return integers.count == elements.count ? integers : nil
  }
}

extension GGUFTensorType {
  fileprivate init?(safetensors type: String) {
    switch type {
    case "F32": self = .f32
    case "F16": self = .f16
    case "BF16": self = .bf16
    case "F64": self = .f64
    case "I8": self = .i8
    case "I16": self = .i16
    case "I32": self = .i32
    case "I64": self = .i64
    default: return nil
    }
  }

  /// nil on overflow.
  fileprivate func byteCount(of shape: [Int]) -> Int? {
    shape.reduce(Optional(block.bytes)) { count, dimension in
      guard let (product, overflow) = count?.multipliedReportingOverflow(by: dimension) else { return nil }
      return overflow ? nil : product
    }
  }
}
