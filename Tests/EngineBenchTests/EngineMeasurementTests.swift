import EngineBench
import ModelFiles
import TestSupport
import Testing

struct EngineMeasurementTests {
  private func events(_ tests: [String], threads: [Int] = [1]) throws -> [EngineMeasurement.Event] {
    let file = TinyModel().write()
    var measurement = EngineMeasurement(modelPath: file.path, threads: threads)
    measurement.tests = tests.map { BenchTest(name: $0)! }
    measurement.repetitions = 2
    measurement.stepTokens = 5
    var events: [EngineMeasurement.Event] = []
    try measurement.run { events.append($0) }
    return events
  }

  @Test func `Every test gets a row for every number of threads, after that number's peaks`() throws {
    let order = try events(["pp12@3", "tg3", "tg2x3@20"], threads: [1, 2]).map { event in
      switch event {
      case .model: "model"
      case .peaks(let peaks): "peaks \(peaks.threads)"
      case .row(let row): "\(row.test) \(row.threads)"
      }
    }
    #expect(
      order == [
        "model", "peaks 1", "pp12@3 1", "tg3 1", "tg2x3@20 1", "peaks 2", "pp12@3 2", "tg3 2", "tg2x3@20 2",
      ])
  }

  @Test func `Peaks and rates are numbers`() throws {
    for event in try events(["pp4"]) {
      switch event {
      case .model(let subject): #expect(subject.modelBytes > 0 && !subject.processor.isEmpty)
      case .peaks(let peaks): #expect(peaks.operations > 0 && peaks.bytes > 0)
      case .row(let row): #expect(row.tokensPerSecond.min > 0 && row.operations > 0 && row.bytes > 0)
      }
    }
  }

  @Test func `A test beyond the model's context is refused before anything runs`() throws {
    #expect {
      _ = try events(["pp4", "tg1@100000"])
    } throws: {
      "\($0)".hasPrefix("tg1@100000 needs a context of 100001 tokens")
    }
  }

  @Test func `A missing model is an error with its path`() {
    let measurement = EngineMeasurement(modelPath: "/nowhere/a.gguf", threads: [1])
    #expect {
      try measurement.run { _ in }
    } throws: {
      "\($0)".contains("/nowhere/a.gguf")
    }
  }
}
