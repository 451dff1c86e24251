import Kernels
import ModelFiles

/// Finds a model's tensors, checks their shapes and types, and brings them into the form that the kernels read.
struct TensorLoader {
  let file: any ModelFile
  /// Added to norms' weights.
  var normOffset: Float = 0

  /// A matrix of `place.rows × columns`, repacked.
  func matrix(
    _ place: MatrixPlace, columns: Int, activations: ActivationType, threads: ThreadPool
  ) throws(ModelError) -> PackedMatrix {
    let (bytes, format) = try numbers(place.tensor + ".weight", dimensions: [columns, place.tensorRows])
    return PackedMatrix(
      packing: bytes + place.rows.lowerBound * format.byteCount(of: columns), format: format, rows: place.rows.count,
      columns: columns, activations: activations, threads: threads)
  }

  /// nil if there is none, and none is needed.
  func bias(of place: MatrixPlace, isNeeded: Bool) throws(ModelError) -> [Float]? {
    let name = place.tensor + ".bias"
    guard isNeeded || has(name) else { return nil }
    return Array(try vector(name, count: place.tensorRows)[place.rows])
  }

  /// A matrix whose rows are read one at a time, straight from the file.
  func rows(_ name: String, rows: Int, columns: Int) throws(ModelError) -> MappedRows {
    let (bytes, format) = try numbers(name, dimensions: [columns, rows])
    return MappedRows(file: file, base: bytes, format: format, rows: rows, columns: columns)
  }

  func vector(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let (bytes, format) = try numbers(name, dimensions: [count])
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      dequantize(bytes, format: format, count: count, into: buffer.baseAddress!)
      initialized = count
    }
  }

  /// The weights of a norm, whole.
  func norm(_ name: String, count: Int) throws(ModelError) -> [Float] {
    let weights = try vector("\(name).weight", count: count)
    return normOffset == 0 ? weights : weights.map { $0 + normOffset }
  }

  func has(_ name: String) -> Bool { file.tensor(named: name) != nil }

  /// - Parameter dimensions: Fastest first.
  private func numbers(
    _ name: String, dimensions: [Int]
  ) throws(ModelError) -> (bytes: UnsafeRawPointer, format: TensorFormat) {
    guard let tensor = file.tensor(named: name) else { throw .missingTensor(name: name, expected: dimensions) }
    guard tensor.dimensions == dimensions else {
      throw .misshapenTensor(name: name, found: tensor.dimensions, expected: dimensions)
    }
    guard let format = TensorFormat(rawValue: tensor.type.rawValue) else {
      throw .unsupportedTensorType(name: name, type: "\(tensor.type)")
    }
    return (file.bytes(of: tensor).baseAddress!, format)
  }
}

/// The rows of a matrix in the mapped file: the token embedding, of which a step needs a few.
struct MappedRows {
  /// Keeps the mapping that `base` points into.
  let file: any ModelFile
  let base: UnsafeRawPointer
  let format: TensorFormat
  let rows: Int
  let columns: Int

  /// - Precondition: `0 <= row < rows`; `out` has room for `columns`.
  func read(_ row: Int, into out: UnsafeMutablePointer<Float>) {
    precondition(row >= 0 && row < rows)
    dequantize(base + row * format.byteCount(of: columns), format: format, count: columns, into: out)
  }
}
