import Glibc
import KVBlocks
import Kernels
import Models
import TestSupport
import Testing

/// The reference model with activations in integers. The bounds of int8 came with the golden file; those of int16 are
/// what float32 itself is held to.
@Suite(.serialized) struct GoldenIntegerTests {
  @Test func `With int16 activations its distributions are those of float32`() throws {
    let exact = try ModelRun(path: referenceModelPath(), blocks: 64, kvElementType: .f32, activations: .float32)
    let rounded = try ModelRun(path: referenceModelPath(), blocks: 64, kvElementType: .f32, activations: .int16)
    var total = Comparison()
    for prompt in try Golden.load().prompts {
      let comparison = compare(exact, rounded, on: prompt.prompt_ids)
      #expect(comparison.meanKL <= 1e-6, "\(prompt.name): \(comparison.meanKL)")
      total.add(comparison)
    }
    #expect(total.sameArgmax >= total.positions - 1, "\(total.sameArgmax) of \(total.positions)")
  }

  @Test func `With int8 activations it errs no more than llama,cpp's default`() throws {
    let exact = try ModelRun(path: referenceModelPath(), blocks: 64, kvElementType: .f32, activations: .float32)
    let rounded = try ModelRun(path: referenceModelPath(), blocks: 64, activations: .int8)
    var total = Comparison()
    for prompt in try Golden.load().prompts {
      let comparison = compare(exact, rounded, on: prompt.prompt_ids)
      let peer = Float(prompt.llamacpp_default.mean_kl)
      #expect(comparison.meanKL <= 0.01, "\(prompt.name): \(comparison.meanKL)")
      #expect(comparison.meanKL <= 1.1 * peer, "\(prompt.name): \(comparison.meanKL), llama.cpp \(peer)")
      total.add(comparison)
    }
    #expect(total.sameArgmax * 100 > total.positions * 95, "\(total.sameArgmax) of \(total.positions)")
    #expect(total.clearlyOther == 0, "another argmax where the reference's margin is above 1")
    let perplexityRatio = exp((total.otherLogLikelihood - total.logLikelihood) / -Double(total.predictions))
    #expect(abs(perplexityRatio - 1) < 0.005, "perplexity of the prompts times \(perplexityRatio)")
  }

  /// Two runs' logits on the same positions.
  private struct Comparison {
    var positions = 0
    var kl = 0.0
    var sameArgmax = 0
    /// Positions with another argmax although the reference's best two are more than 1 apart.
    var clearlyOther = 0
    /// Positions whose next token is known, and what both say of it.
    var predictions = 0
    var logLikelihood = 0.0
    var otherLogLikelihood = 0.0
    var meanKL: Float { Float(kl / Double(positions)) }

    mutating func add(reference: Logits, other: Logits, next: Int32?) {
      positions += 1
      let (divergence, logSum, otherLogSum) = compareSoftmax(reference, other)
      kl += divergence
      if let next {
        predictions += 1
        logLikelihood += Double(reference[Int(next)]) - logSum
        otherLogLikelihood += Double(other[Int(next)]) - otherLogSum
      }
      let best = Int(reference.argmax)
      if other.argmax == reference.argmax {
        sameArgmax += 1
      } else if reference.indices.allSatisfy({ $0 == best || reference[best] - reference[$0] > 1 }) {
        clearlyOther += 1
      }
    }

    mutating func add(_ more: Comparison) {
      positions += more.positions
      kl += more.kl
      sameArgmax += more.sameArgmax
      clearlyOther += more.clearlyOther
      predictions += more.predictions
      logLikelihood += more.logLikelihood
      otherLogLikelihood += more.otherLogLikelihood
    }
  }

  private func compare(_ exact: ModelRun, _ rounded: ModelRun, on tokens: [Int32]) -> Comparison {
    var comparison = Comparison()
    var (a, b) = ([ModelRun.Sequence()], [ModelRun.Sequence()])
    for start in stride(from: 0, to: tokens.count, by: 128) {
      let chunk = Array(tokens[start..<min(start + 128, tokens.count)])
      let pairs = zip(exact.step([(0, chunk, .all)], on: &a)[0], rounded.step([(0, chunk, .all)], on: &b)[0])
      for (position, (reference, other)) in zip(start..., pairs) {
        let next = position + 1 < tokens.count ? tokens[position + 1] : nil
        comparison.add(reference: reference, other: other, next: next)
      }
    }
    exact.free(a)
    rounded.free(b)
    return comparison
  }
}

/// KL(reference ‖ other) of the softmaxes in nats, and the logarithms of both sums of exponentials.
private func compareSoftmax(
  _ reference: Logits, _ other: Logits
) -> (divergence: Double, logSum: Double, otherLogSum: Double) {
  let (top, otherTop) = (reference.max()!, other.max()!)
  var (sum, otherSum, weighted) = (0.0, 0.0, 0.0)
  for (a, b) in zip(reference, other) {
    let weight = Double(expf(a - top))
    sum += weight
    otherSum += Double(expf(b - otherTop))
    weighted += weight * Double(a - b)
  }
  let (logSum, otherLogSum) = (Double(top) + log(sum), Double(otherTop) + log(otherSum))
  return (weighted / sum - logSum + otherLogSum, logSum, otherLogSum)
}
