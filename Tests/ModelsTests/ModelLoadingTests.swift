import Kernels
import ModelFiles
import Models
import TestSupport
import Testing

private func load(change: (inout GGUFWriter) -> Void) throws -> LlamaModel {
  var writer = TinyModel().writer()
  change(&writer)
  let file = writer.write()
  return try LlamaModel(file: GGUFFile(path: file.path), threads: ThreadPool(threads: 1))
}

extension GGUFWriter {
  /// The tensor of that name, to be spoilt.
  fileprivate subscript(tensor name: String) -> Tensor {
    get { tensors.first { $0.name == name }! }
    set { tensors[tensors.firstIndex { $0.name == name }!] = newValue }
  }
}

@Suite struct ModelLoadingTests {
  @Test(arguments: [
    "token_embd.weight", "blk.0.attn_norm.weight", "blk.1.attn_q.weight", "blk.1.attn_output.weight",
    "blk.0.ffn_norm.weight", "blk.1.ffn_down.weight", "output_norm.weight",
  ])
  func `A missing tensor is named`(name: String) throws {
    let error = #expect(throws: ModelError.self) { try load { $0.tensors.removeAll { $0.name == name } } }
    guard case .missingTensor(name, _)? = error else {
      Issue.record("not named: \(String(describing: error))")
      return
    }
  }

  @Test func `A misshapen tensor is named with both shapes`() throws {
    #expect(throws: ModelError.misshapenTensor(name: "blk.1.ffn_up.weight", found: [96, 64], expected: [64, 96])) {
      try load { $0[tensor: "blk.1.ffn_up.weight"].dimensions.reverse() }
    }
    #expect(throws: ModelError.misshapenTensor(name: "output.weight", found: [64, 200], expected: [64, 265])) {
      try load { $0[tensor: "output.weight"].dimensions[1] = 200 }
    }
    #expect(throws: ModelError.misshapenTensor(name: "blk.0.attn_norm.weight", found: [32, 2], expected: [64])) {
      try load { $0[tensor: "blk.0.attn_norm.weight"].dimensions = [32, 2] }
    }
  }

  @Test func `A KV cache whose blocks do not fit the heads is refused`() throws {
    let file = TinyModel().write()
    #expect(throws: ModelError.unsuitableKVCache(.q8_0, headDim: 16)) {
      try LlamaModel(file: GGUFFile(path: file.path), threads: ThreadPool(threads: 1), kvElementType: .q8_0)
    }
  }

  @Test func `A type that we cannot compute with is named`() throws {
    var tiny = TinyModel()
    (tiny.width, tiny.headDim, tiny.feedForward) = (256, 64, 256)
    let file = tiny.write {
      ($0.name == "blk.1.attn_k.weight") ? (.iq2_xs, Array(repeating: 0, count: 128 * 74)) : TinyModel.q8_0($0)
    }
    let error = #expect(throws: ModelError.unsupportedTensorType(name: "blk.1.attn_k.weight", type: "IQ2_XS")) {
      try LlamaModel(file: GGUFFile(path: file.path), threads: ThreadPool(threads: 1))
    }
    #expect(error.map { "\($0)" }?.hasPrefix("IQ2_XS is not supported") == true)
  }

  @Test func `The report counts the file and the repacked matrices`() throws {
    let model = try load { _ in }
    let matrices = TinyModel().tensors().filter { $0.shape.count == 2 && $0.name != "token_embd.weight" }
    let bytes = matrices.reduce(0) { $0 + $1.values.count * 4 }
    #expect(model.loadReport.packedBytes >= bytes && model.loadReport.packedBytes < bytes + bytes / 4)
    #expect(model.loadReport.fileBytes > bytes && model.loadReport.duration > .zero)
  }

  @Test func `The layout follows the model and what was asked for`() throws {
    let file = TinyModel().write()
    let model = try LlamaModel(
      file: GGUFFile(path: file.path), threads: ThreadPool(threads: 1), maxContext: 40, blockSize: 8,
      kvElementType: .f32)
    #expect("\(model.kvLayout)" == "2 layers × 2 KV heads × 16, f32, blocks of 8 tokens")
    #expect(model.contextLength == 40 && model.vocabularySize == 265)
  }
}
