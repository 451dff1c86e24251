import ModelFiles
import TestSupport
import Testing

/// The small file that each case spoils. Offsets: 0 magic, 4 version, 8 tensor count, 16 pair count,
/// 24 key "k" (length, byte), 33 its type, 37 its value; 41 key "general.alignment", 66 type, 70 value;
/// 74 tensor "t" (length, byte), 83 dimension count, 87 dimensions, 103 type, 107 offset; padding to 128, data.
private func writer() -> GGUFWriter {
  var writer = GGUFWriter()
  writer.add("k", .uint32(1))
  writer.add("general.alignment", .uint32(32))
  writer.addTensor("t", type: .f32, dimensions: [4, 2], bytes: Array(repeating: 7, count: 32))
  return writer
}

private func error(in bytes: [UInt8]) throws -> GGUFError? {
  let file = TemporaryFile(bytes)
  do {
    _ = try GGUFFile(path: file.path)
    return nil
  } catch { return error }
}

/// The good file with `value` written over what is at `offset`.
private func patched<T: FixedWidthInteger>(_ value: T, at offset: Int) -> [UInt8] {
  var bytes = writer().bytes()
  withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
  return bytes
}

@Suite struct GGUFErrorTests {
  struct Case: CustomTestStringConvertible {
    var testDescription: String
    var bytes: [UInt8]
    var offset: Int
    var problem: GGUFError.Problem
  }

  static let patches: [Case] = [
    Case(testDescription: "magic", bytes: patched(UInt32(0x1234), at: 0), offset: 0, problem: .badMagic(0x1234)),
    Case(
      testDescription: "version 1", bytes: patched(UInt32(1), at: 4), offset: 4, problem: .unsupportedVersion(1)),
    Case(testDescription: "big-endian", bytes: patched(UInt32(3).bigEndian, at: 4), offset: 4, problem: .bigEndian),
    Case(
      testDescription: "tensor count", bytes: patched(UInt64.max, at: 8), offset: 8,
      problem: .impossibleCount(of: "tensors", count: .max, limit: 4)),
    Case(
      testDescription: "pair count", bytes: patched(UInt64(99), at: 16), offset: 16,
      problem: .impossibleCount(of: "metadata pairs", count: 99, limit: 9)),
    Case(
      testDescription: "key length", bytes: patched(UInt64(1 << 40), at: 24), offset: 32,
      problem: .truncated(expected: "a metadata key", needed: 1 << 40, left: 128)),
    Case(
      testDescription: "empty key", bytes: patched(UInt64(0), at: 24), offset: 24,
      problem: .emptyName(of: "a metadata key")),
    Case(
      testDescription: "key not UTF-8", bytes: patched(UInt8(0xFF), at: 32), offset: 32,
      problem: .invalidUTF8(in: "a metadata key")),
    Case(
      testDescription: "value type", bytes: patched(UInt32(13), at: 33), offset: 33,
      problem: .unknownValueType(13, key: "k")),
    Case(
      testDescription: "alignment 24", bytes: patched(UInt32(24), at: 70), offset: 66,
      problem: .invalidAlignment("24")),
    Case(
      testDescription: "alignment 0", bytes: patched(UInt32(0), at: 70), offset: 66, problem: .invalidAlignment("0")),
    Case(
      testDescription: "5 dimensions", bytes: patched(UInt32(5), at: 83), offset: 83,
      problem: .invalidDimensionCount(5, tensor: "t")),
    Case(
      testDescription: "0 dimensions", bytes: patched(UInt32(0), at: 83), offset: 83,
      problem: .invalidDimensionCount(0, tensor: "t")),
    Case(
      testDescription: "dimension 0", bytes: patched(UInt64(0), at: 95), offset: 95,
      problem: .invalidDimension(0, index: 1, tensor: "t")),
    Case(
      testDescription: "dimension 2^63", bytes: patched(UInt64(1) << 63, at: 87), offset: 87,
      problem: .invalidDimension(1 << 63, index: 0, tensor: "t")),
    Case(
      testDescription: "product overflow", bytes: patched(UInt64(1) << 62, at: 87), offset: 103,
      problem: .tensorTooLarge(dimensions: [1 << 62, 2], tensor: "t")),
    Case(
      testDescription: "byte count overflow", bytes: patched(UInt64(1) << 61, at: 87), offset: 103,
      problem: .tensorTooLarge(dimensions: [1 << 61, 2], tensor: "t")),
    Case(
      testDescription: "outside the file", bytes: patched(UInt64(1000), at: 87), offset: 107,
      problem: .tensorOutsideFile(tensor: "t", end: 8128, fileSize: 160)),
    Case(
      testDescription: "unknown tensor type", bytes: patched(UInt32(4), at: 103), offset: 103,
      problem: .unknownTensorType(4, tensor: "t")),
    Case(
      testDescription: "partial block", bytes: patched(UInt32(8), at: 103), offset: 103,
      problem: .partialBlock(rowLength: 4, blockLength: 32, type: "Q8_0", tensor: "t")),
    Case(
      testDescription: "misaligned", bytes: patched(UInt64(4), at: 107), offset: 107,
      problem: .misalignedTensor(offset: 4, alignment: 32, tensor: "t")),
    Case(
      testDescription: "offset overflow", bytes: patched(UInt64.max - 31, at: 107), offset: 107,
      problem: .tensorOutsideFile(tensor: "t", end: .max, fileSize: 160)),
  ]

  @Test(arguments: patches)
  func `A spoilt field is an error that names its byte`(spoilt: Case) throws {
    let error = try #require(try error(in: spoilt.bytes))
    #expect(error.problem == spoilt.problem)
    #expect(error.offset == spoilt.offset)
    #expect("\(error)".contains("at byte \(spoilt.offset): expected") || "\(error)".contains("tensor t "))
  }

  @Test func `The file that the cases spoil is good`() throws { #expect(try error(in: writer().bytes()) == nil) }

  @Test func `A file cut anywhere is an error`() throws {
    let bytes = writer().bytes()
    for length in 0..<bytes.count {
      let error = try #require(try error(in: Array(bytes[..<length])), "cut to \(length) bytes")
      #expect(error.offset <= length)
    }
  }

  @Test func `Names that occur twice are refused`() throws {
    var pairs = writer()
    pairs.add("k", .bool(false))
    #expect(try error(in: pairs.bytes())?.problem == .duplicateKey("k"))
    var tensors = writer()
    tensors.addTensor("t", type: .f32, dimensions: [1], bytes: [0, 0, 0, 0])
    #expect(try error(in: tensors.bytes())?.problem == .duplicateTensor("t"))
  }

  @Test func `Tensors that share bytes are refused`() throws {
    var writer = writer()
    writer.addTensor("u", type: .f32, dimensions: [1], bytes: [0, 0, 0, 0])
    writer.tensors[1].offset = 0
    let error = try error(in: writer.bytes())
    #expect(error?.problem == .overlappingTensors("t", "u") || error?.problem == .overlappingTensors("u", "t"))
  }

  @Test func `An array deeper than four is refused`() throws {
    var value = GGUFWriter.Value.array([.uint8(1)])
    for depth in 1...5 {
      var writer = GGUFWriter()
      writer.add("k", value)
      #expect(try error(in: writer.bytes())?.problem == (depth <= 4 ? nil : .nestedTooDeep(limit: 4, key: "k")))
      value = .array([value])
    }
  }

  @Test func `An array's count is checked against the bytes left`() throws {
    var writer = GGUFWriter()
    writer.add("k", .strings(["a"]))
    var bytes = writer.bytes()
    bytes[41] = 0xFF  // The count follows the key's type (33) and the element type (37).
    let error = try #require(try error(in: bytes))
    #expect(error.offset == 41)
    #expect(error.problem == .impossibleCount(of: "elements of key k", count: 0xFF, limit: (bytes.count - 49) / 8))
  }

  @Test func `A bool is 0 or 1`() throws {
    var writer = GGUFWriter()
    writer.add("k", .bool(true))
    var bytes = writer.bytes()
    bytes[37] = 2
    #expect(try error(in: bytes)?.problem == .invalidBool(2, key: "k"))
  }

  @Test func `What is no file says so`() throws {
    let folder = #expect(throws: GGUFError.self) { try GGUFFile(path: "/") }
    #expect(folder?.problem == .notARegularFile)
    let missing = #expect(throws: GGUFError.self) { try GGUFFile(path: "/nowhere/at-all.gguf") }
    #expect(missing.map { "\($0)" } == "cannot read /nowhere/at-all.gguf: open: No such file or directory")
  }
}
