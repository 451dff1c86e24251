/// Reads a file's header once, from the magic to the tensor table: `parse()` fills the properties or throws.
struct GGUFHeaderParser {
  private static let magic: UInt32 = 0x4655_4747  // "GGUF"
  private static let defaultAlignment = 32
  /// A key of one byte and a value of one; a name of one byte, one dimension, type and offset.
  private static let smallestPair = 8 + 1 + 4 + 1
  private static let smallestTensor = 8 + 1 + 4 + 8 + 4 + 8

  private(set) var version = 0
  private(set) var metadata = GGUFMetadata()
  private(set) var tensors: [GGUFTensor] = []
  private(set) var tensorIndex: [String: Int] = [:]
  /// Where tensor offsets count from.
  private(set) var dataOffset = 0
  private var alignment = defaultAlignment
  private var cursor: GGUFCursor

  /// One entry of the tensor table, its place in the file not yet checked.
  private struct Entry {
    var name: String
    var type: GGUFTensorType
    var dimensions: [Int]
    var byteCount: Int
    var offset: UInt64
    /// Where the file says `offset`.
    var offsetField: Int
  }

  init(file: MappedFile) { cursor = GGUFCursor(file: file) }

  mutating func parse() throws(GGUFError) {
    try parseVersion()
    let tensorCount = try cursor.count(of: "tensors", smallestSize: Self.smallestTensor)
    try parseMetadata()
    var entries: [Entry] = []
    for _ in 0..<tensorCount { entries.append(try parseEntry()) }
    try place(entries)
    try refuseOverlaps(entries)
  }

  private mutating func parseVersion() throws(GGUFError) {
    let magic = try cursor.integer(UInt32.self, "the magic \"GGUF\"")
    guard magic == Self.magic else { throw cursor.error(.badMagic(magic), at: 0) }
    let version = try cursor.integer(UInt32.self, "the version")
    guard version == 2 || version == 3 else {
      let swapped = version.byteSwapped
      let problem: GGUFError.Problem = swapped == 2 || swapped == 3 ? .bigEndian : .unsupportedVersion(version)
      throw cursor.error(problem, at: 4)
    }
    self.version = Int(version)
  }

  private mutating func parseMetadata() throws(GGUFError) {
    let count = try cursor.count(of: "metadata pairs", smallestSize: Self.smallestPair)
    for _ in 0..<count {
      let start = cursor.offset
      let key = try cursor.name("a metadata key")
      let valueOffset = cursor.offset
      let value = try cursor.typedValue(key: key)
      guard metadata.append(key, value) else { throw cursor.error(.duplicateKey(key), at: start) }
      if key == "general.alignment" { alignment = try checkedAlignment(value, at: valueOffset) }
    }
  }

  private func checkedAlignment(_ value: GGUFValue, at offset: Int) throws(GGUFError) -> Int {
    guard case .unsigned(let number) = value, let alignment = UInt32(exactly: number), alignment.nonzeroBitCount == 1
    else { throw cursor.error(.invalidAlignment("\(value)"), at: offset) }
    return Int(alignment)
  }

  private mutating func parseEntry() throws(GGUFError) -> Entry {
    let start = cursor.offset
    let name = try cursor.name("a tensor name")
    guard tensorIndex.updateValue(tensorIndex.count, forKey: name) == nil else {
      throw cursor.error(.duplicateTensor(name), at: start)
    }
    let dimensions = try parseDimensions(tensor: name)
    let typeField = cursor.offset
    let number = try cursor.integer(UInt32.self, "the type of tensor \(name)")
    guard let type = GGUFTensorType(rawValue: number) else {
      throw cursor.error(.unknownTensorType(number, tensor: name), at: typeField)
    }
    let bytes = try byteCount(dimensions, type: type, tensor: name, at: typeField)
    let offsetField = cursor.offset
    let offset = try cursor.integer(UInt64.self, "the offset of tensor \(name)")
    guard offset % UInt64(alignment) == 0 else {
      throw cursor.error(.misalignedTensor(offset: offset, alignment: alignment, tensor: name), at: offsetField)
    }
    return Entry(
      name: name, type: type, dimensions: dimensions, byteCount: bytes, offset: offset, offsetField: offsetField)
  }

  private mutating func parseDimensions(tensor: String) throws(GGUFError) -> [Int] {
    let start = cursor.offset
    let count = try cursor.integer(UInt32.self, "the dimension count of tensor \(tensor)")
    guard (1...4).contains(count) else {
      throw cursor.error(.invalidDimensionCount(count, tensor: tensor), at: start)
    }
    var dimensions: [Int] = []
    for index in 0..<Int(count) {
      let field = cursor.offset
      let dimension = try cursor.integer(UInt64.self, "a dimension of tensor \(tensor)")
      guard dimension > 0, let length = Int(exactly: dimension) else {
        throw cursor.error(.invalidDimension(dimension, index: index, tensor: tensor), at: field)
      }
      dimensions.append(length)
    }
    return dimensions
  }

  private func byteCount(
    _ dimensions: [Int], type: GGUFTensorType, tensor: String, at offset: Int
  ) throws(GGUFError) -> Int {
    let block = type.block
    guard dimensions[0] % block.elements == 0 else {
      throw cursor.error(
        .partialBlock(
          rowLength: dimensions[0], blockLength: block.elements, type: "\(type)", tensor: tensor), at: offset)
    }
    var elements = 1
    var overflow = false
    for dimension in dimensions where !overflow {
      (elements, overflow) = elements.multipliedReportingOverflow(by: dimension)
    }
    let (bytes, bytesOverflow) = (elements / block.elements).multipliedReportingOverflow(by: block.bytes)
    guard !overflow && !bytesOverflow else {
      throw cursor.error(.tensorTooLarge(dimensions: dimensions, tensor: tensor), at: offset)
    }
    return bytes
  }

  /// Turns offsets from the data section into ranges of the file.
  private mutating func place(_ entries: [Entry]) throws(GGUFError) {
    let fileSize = cursor.file.bytes.count
    // Alignment is below 2^32 and the header inside the file, so this cannot overflow.
    let padded = (cursor.offset + alignment - 1) / alignment * alignment
    dataOffset = min(padded, fileSize)
    for entry in entries {
      let (start, overflow) = entry.offset.addingReportingOverflow(UInt64(padded))
      let (end, endOverflow) = start.addingReportingOverflow(UInt64(entry.byteCount))
      guard !overflow, !endOverflow, end <= fileSize else {
        let end = overflow || endOverflow ? UInt64.max : end
        throw cursor.error(
          .tensorOutsideFile(tensor: entry.name, end: end, fileSize: fileSize), at: entry.offsetField)
      }
      tensors.append(
        GGUFTensor(
          name: entry.name, type: entry.type, dimensions: entry.dimensions, byteRange: Int(start)..<Int(end)))
    }
  }

  private func refuseOverlaps(_ entries: [Entry]) throws(GGUFError) {
    let order = tensors.indices.sorted { tensors[$0].byteRange.lowerBound < tensors[$1].byteRange.lowerBound }
    for (first, second) in zip(order, order.dropFirst())
    where tensors[second].byteRange.lowerBound < tensors[first].byteRange.upperBound {
      throw cursor.error(
        .overlappingTensors(tensors[first].name, tensors[second].name), at: entries[second].offsetField)
    }
  }
}
