import Kernels
import ModelFiles
import Models

/// Runs tests on a model, without server, scheduler or sampler: the arithmetic of prefill and decode alone.
package struct EngineMeasurement: Sendable {
  package var modelPath: String
  package var tests = BenchTest.usual
  package var threads: [Int]
  package var repetitions = 5
  /// Prompt tokens in one step at most, as the engine's `--max-num-batched-tokens`.
  package var stepTokens = 512
  package var activations = ActivationType.standard

  package init(modelPath: String, threads: [Int]) {
    self.modelPath = modelPath
    self.threads = threads
  }

  package enum Event: Sendable {
    case model(BenchSubject)
    case peaks(MachinePeaks)
    case row(BenchRow)
  }

  /// Reports what it measures as soon as it is known: the model, then for each number of threads peaks and rows.
  /// - Precondition: `threads`, `repetitions` and `stepTokens` are positive.
  package func run(report: (Event) -> Void) throws(EngineBenchError) {
    let file: any ModelFile
    do { file = try openModel(path: modelPath) } catch { throw .unreadableModel(error) }
    for (index, count) in threads.enumerated() {
      let pool = ThreadPool(threads: count)
      let model: LlamaModel
      do throws(ModelError) {
        model = try LlamaModel(file: file, threads: pool, activations: activations)
      } catch { throw .unusableModel(error) }
      if index == 0 {
        for test in tests where test.contextLength > model.contextLength {
          throw .beyondContext(test, limit: model.contextLength)
        }
        report(.model(BenchSubject(file: file, model: model, activations: activations)))
      }
      let peaks = try MachinePeaks.measure(on: pool, repetitions: repetitions)
      report(.peaks(peaks))
      let work = ModelWork(file: file, configuration: model.configuration, kvLayout: model.kvLayout)
      for test in tests {
        let amount = work.amount(of: test, stepTokens: stepTokens)
        report(.row(BenchRow(test: test, rates: try measure(test, on: model), amount: amount, peaks: peaks)))
      }
    }
  }

  private func measure(_ test: BenchTest, on model: LlamaModel) throws(EngineBenchError) -> [Double] {
    let run = try TestRun(test, model: model, stepTokens: stepTokens)
    run.warmUp()
    return (0..<repetitions).map { _ in run.measure() }
  }
}
