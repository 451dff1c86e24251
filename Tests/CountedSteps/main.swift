// What `InstructionCountTests` counts: a prefill of 128 tokens and a decode step behind it, on one thread, of two layers of
// the reference model's shape in its formats. Only the vocabulary is small. (Not `xpyd bench engine`: valgrind 3.19 does
// not survive the end of an asynchronous `main`.)
import KVBlocks
import Kernels
import ModelFiles
import Models
import TestSupport

private func tiny() -> TinyModel {
  var tiny = TinyModel()
  (tiny.layers, tiny.width, tiny.heads, tiny.kvHeads, tiny.headDim) = (2, 576, 9, 3, 64)
  tiny.feedForward = 1536
  return tiny
}

private func encode(_ tensor: TinyModel.Tensor) -> (type: GGUFTensorType, bytes: [UInt8]) {
  tensor.name.hasPrefix("blk.") ? q4_1(tensor) : TinyModel.q8_0(tensor)
}

/// Scale, minimum, and 32 nibbles a block.
private func q4_1(_ tensor: TinyModel.Tensor) -> (type: GGUFTensorType, bytes: [UInt8]) {
  var bytes: [UInt8] = []
  for start in stride(from: 0, to: tensor.values.count, by: 32) {
    let block = Array(tensor.values[start..<start + 32])
    let least = block.min()!
    let scale = max((block.max()! - least) / 15, 1e-6)
    for half in [Float16(scale), Float16(least)] { withUnsafeBytes(of: half) { bytes.append(contentsOf: $0) } }
    let quants = block.map { UInt8((($0 - least) / scale).rounded()) }
    for index in 0..<16 { bytes.append(quants[index] | quants[index + 16] << 4) }
  }
  return (.q4_1, bytes)
}

private let file = tiny().write(encode: encode)
private let model = try LlamaModel(file: GGUFFile(path: file.path), threads: ThreadPool(threads: 1))
private let kv = try KVMemory(layout: model.kvLayout, blockCount: 9)
private let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: model.vocabularySize)

@MainActor private func forward(_ positions: Range<Int>) {
  var batch = ForwardBatch()
  batch.tokens = positions.map { Int32($0 % 256 + 3) }
  batch.sequences = [
    .init(rows: 0..<positions.count, startPosition: positions.lowerBound, blockTable: (0..<9).map { KVBlockID($0) })
  ]
  batch.logitRows = [positions.count - 1]
  model.forward(batch, kv: kv, logits: logits)
}

// Found by their names.
@MainActor @inline(never) private func countedPrefill() { forward(0..<128) }
@MainActor @inline(never) private func countedDecodeStep() { forward(128..<129) }

countedPrefill()
countedDecodeStep()
