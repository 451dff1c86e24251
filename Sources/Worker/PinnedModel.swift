import KVBlocks
import Kernels
import Models

/// A model that computes on one processor: the kernels' pool pins its own threads, and leaves the first of `--cpus` to
/// the thread that calls it.
///
/// For a step's time only: a thread hands its processors on to those that it starts, and the engine's thread, by waking
/// a task, may start one of those that all tasks share.
final class PinnedModel: LanguageModel {
  private let model: any LanguageModel
  private let processor: Int?

  /// - Parameter processor: nil: wherever the system puts it.
  init(_ model: any LanguageModel, processor: Int?) {
    self.model = model
    self.processor = processor
  }

  var vocabularySize: Int { model.vocabularySize }
  var contextLength: Int { model.contextLength }
  var kvLayout: KVLayout { model.kvLayout }

  @discardableResult
  func forward(
    _ batch: ForwardBatch, kv: KVMemory, logits: UnsafeMutableBufferPointer<Float>
  ) -> UnsafeBufferPointer<Float> {
    guard let processor else { return model.forward(batch, kv: kv, logits: logits) }
    return Processors.run(on: processor) { model.forward(batch, kv: kv, logits: logits) }
  }
}
