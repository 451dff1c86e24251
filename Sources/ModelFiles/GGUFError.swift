import Glibc

/// Why a file is no GGUF file that we can read, and the byte at which that shows.
package struct GGUFError: Error, Equatable {
  package enum Problem: Equatable, Sendable {
    case unreadable(call: String, errno: Int32)
    case notARegularFile
    /// `needed` bytes were expected at the offset, and the file has `left` from there on.
    case truncated(expected: String, needed: UInt64, left: Int)
    case badMagic(UInt32)
    case bigEndian
    case unsupportedVersion(UInt32)
    /// A count that the bytes left cannot hold.
    case impossibleCount(of: String, count: UInt64, limit: Int)
    case invalidUTF8(in: String)
    case unknownValueType(UInt32, key: String)
    case invalidBool(UInt8, key: String)
    case nestedTooDeep(limit: Int, key: String)
    case emptyName(of: String)
    case duplicateKey(String)
    case duplicateTensor(String)
    case invalidAlignment(String)
    case unknownTensorType(UInt32, tensor: String)
    case invalidDimensionCount(UInt32, tensor: String)
    case invalidDimension(UInt64, index: Int, tensor: String)
    /// The product of the dimensions, or the bytes they take, does not fit into a 64-bit integer.
    case tensorTooLarge(dimensions: [Int], tensor: String)
    /// Rows of a quantised tensor are whole blocks.
    case partialBlock(rowLength: Int, blockLength: Int, type: String, tensor: String)
    case misalignedTensor(offset: UInt64, alignment: Int, tensor: String)
    case tensorOutsideFile(tensor: String, end: UInt64, fileSize: Int)
    case overlappingTensors(String, String)
  }

  package let path: String
  /// From the start of the file.
  package let offset: Int
  package let problem: Problem
}

extension GGUFError: CustomStringConvertible {
  package var description: String {
    switch problem {
    case .unreadable(let call, let code): "cannot read \(path): \(call): \(String(cString: strerror(code)))"
    case .notARegularFile: "cannot read \(path): it is not a regular file. Name a .gguf file."
    default: "cannot read \(path) as GGUF: at byte \(offset): \(problem). \(nextStep)"
    }
  }

  private var nextStep: String {
    switch problem {
    case .bigEndian, .unsupportedVersion: "Convert the model again, with a current converter."
    case .truncated, .tensorOutsideFile: "The download may be incomplete: fetch it again."
    default: "The file is damaged or no model: fetch it again."
    }
  }
}

extension GGUFError.Problem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unreadable(let call, let code): "\(call): \(String(cString: strerror(code)))"
    case .notARegularFile: "not a regular file"
    case .truncated(let expected, let needed, let left):
      "expected \(expected) of \(needed) bytes, found the end of the file after \(left)"
    case .badMagic(let found): "expected the magic \"GGUF\", found 0x\(String(found, radix: 16))"
    case .bigEndian: "expected a little-endian file, found a big-endian one"
    case .unsupportedVersion(let found): "expected GGUF version 2 or 3, found \(found)"
    case .impossibleCount(let what, let count, let limit):
      "expected at most \(limit) \(what) (the bytes left hold no more), found a count of \(count)"
    case .invalidUTF8(let what): "expected UTF-8 in \(what)"
    case .unknownValueType(let found, let key): "expected a value type from 0 to 12 for key \(key), found \(found)"
    case .invalidBool(let found, let key): "expected 0 or 1 for the bool of key \(key), found \(found)"
    case .nestedTooDeep(let limit, let key): "expected arrays nested at most \(limit) deep in key \(key)"
    case .emptyName(let what): "expected \(what) of at least one byte"
    case .duplicateKey(let key): "key \(key) occurs twice"
    case .duplicateTensor(let name): "tensor \(name) occurs twice"
    case .invalidAlignment(let found): "expected a power of two, as uint32, for general.alignment, found \(found)"
    case .unknownTensorType(let found, let tensor): "tensor \(tensor) has the unknown type \(found)"
    case .invalidDimensionCount(let found, let tensor):
      "expected 1 to 4 dimensions for tensor \(tensor), found \(found)"
    case .invalidDimension(let found, let index, let tensor):
      "expected dimension \(index) of tensor \(tensor) between 1 and 2^63 - 1, found \(found)"
    case .tensorTooLarge(let dimensions, let tensor): "tensor \(tensor) of \(dimensions) elements overflows 64 bits"
    case .partialBlock(let row, let block, let type, let tensor):
      "expected rows of whole blocks of \(block) in tensor \(tensor) (\(type)), found rows of \(row)"
    case .misalignedTensor(let offset, let alignment, let tensor):
      "expected a multiple of \(alignment) as offset of tensor \(tensor), found \(offset)"
    case .tensorOutsideFile(let tensor, let end, let size):
      "tensor \(tensor) ends at byte \(end), and the file at \(size)"
    case .overlappingTensors(let first, let second): "tensors \(first) and \(second) overlap"
    }
  }
}
