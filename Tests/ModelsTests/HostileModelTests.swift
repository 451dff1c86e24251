import Kernels
import ModelFiles
import Models
import TestSupport
import Testing

/// Valid and invalid files that somebody spoilt: each is refused with an error, or runs.
@Suite struct HostileModelTests {
  private static let writer: GGUFWriter = {
    var tiny = TinyModel()
    tiny.layers = 1
    tiny.ropeFactors = Array(repeating: 1, count: 8)
    return tiny.writer()
  }()

  @Test func `400 models with wild hyperparameters are refused or run`() throws {
    let keys =
      Self.writer.metadata.map(\.key).filter { $0.hasPrefix("llama.") } + [
        "llama.attention.key_length", "llama.attention.sliding_window", "llama.rope.scaling.factor",
        "llama.rope.scale_linear",
      ]
    var dice = SplitMix64(seed: 6)
    var loaded = 0
    for _ in 0..<400 {
      var writer = Self.writer
      writer.set(keys.randomElement(using: &dice)!, wildValue(&dice))
      if runOrRefuse(writer.bytes()) { loaded += 1 }
    }
    #expect((20..<380).contains(loaded), "\(loaded) of 400 loaded: both ways are struck")
  }

  @Test func `400 models with spoilt tensor tables are refused or run`() throws {
    let bytes = Self.writer.bytes()
    let good = Self.writer.write()
    let header = try GGUFFile(path: good.path).headerRange
    var dice = SplitMix64(seed: 7)
    for index in 0..<400 {
      var spoilt = bytes
      spoilt.spoil(in: index % 4 == 0 ? 0..<700 : header.upperBound - 900..<header.upperBound, using: &dice)
      _ = runOrRefuse(spoilt)
    }
  }

  private func wildValue(_ dice: inout SplitMix64) -> GGUFWriter.Value {
    let integers: [UInt64] = [0, 1, 2, 3, 4, 7, 8, 12, 16, 64, 128, 265, 1 << 20, 1 << 31, 1 << 32, 1 << 62, .max]
    let floats: [Float] = [0, -1, 1e-38, 1e38, .infinity, .nan, 0.5, 10_000]
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: return .float32(floats.randomElement(using: &dice)!)
    case 1: return .uint32(UInt32(truncatingIfNeeded: integers.randomElement(using: &dice)!))
    case 2: return .uint64(integers.randomElement(using: &dice)!)
    default: return .int32(Int32.random(in: -2..<70, using: &dice))
    }
  }

  /// - Returns: Whether it ran.
  private func runOrRefuse(_ bytes: [UInt8]) -> Bool {
    let file = TemporaryFile(bytes)
    do {
      let run = try ModelRun(path: file.path, threads: 1, blocks: 2)
      let vocabulary = Int32(run.model.vocabularySize)
      #expect(run.logits(of: [3, 4, 260].map { $0 % vocabulary }).count == 3)
      return true
    } catch let error as GGUFError {
      #expect("\(error)".contains("at byte"))
    } catch let error as ModelError {
      #expect(!"\(error)".isEmpty)
    } catch {
      Issue.record(error)
    }
    return false
  }
}
