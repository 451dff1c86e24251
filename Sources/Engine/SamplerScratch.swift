import Glibc

/// Memory that drawing a token needs, kept from token to token, and the draw itself.
///
/// Not `Sendable`: the step loop owns one for all its requests.
package final class SamplerScratch {
  /// `weight` is proportional to the token's probability; 1 for the most likely.
  private struct Candidate {
    var id: Int32
    var weight: Float
  }

  private var candidates: [Candidate] = []
  private var nucleus: [Candidate] = []
  private var heap: [Float] = []
  private var rawLogits: [Float] = []

  package init() {}

  // MARK: Drawing

  /// Draws a token: the one at `uniform` of the distribution that temperature and truncation leave, by inverse CDF.
  ///
  /// - Parameters:
  ///   - logits: `[vocabularySize]`; −∞ is never drawn.
  ///   - topK: 0, or a number from the vocabulary's size on: all. Ties with the k-th are kept, as in vLLM.
  ///   - topP: The fewest most likely tokens whose probabilities reach it; at least one.
  ///   - minP: Drops what is less likely than this share of the most likely token.
  ///   - uniform: In [0, 1).
  package func draw(
    from logits: UnsafeMutableBufferPointer<Float>, temperature: Float, topK: Int, topP: Float, minP: Float,
    uniform: Double
  ) -> Int32 {
    let greatest = maximum(logits)
    var cutoff = -Float.infinity
    if minP > 0 { cutoff = greatest + temperature * logf(minP) }
    if topK > 0, topK < logits.count { cutoff = max(cutoff, largest(topK, of: logits)) }
    var total = gather(logits, from: cutoff, greatest: greatest, temperature: temperature)
    guard total > 0, total.isFinite else { return Int32(indexOfMaximum(logits)) }
    if topP < 1 {
      total = cutNucleus(mass: Double(topP) * total)
      return token(at: uniform * total, in: nucleus)
    }
    return token(at: uniform * total, in: candidates)
  }

  /// Fills `candidates`, in the order of ids. Returns the sum of their weights.
  private func gather(
    _ logits: UnsafeMutableBufferPointer<Float>, from cutoff: Float, greatest: Float, temperature: Float
  ) -> Double {
    candidates.removeAll(keepingCapacity: true)
    var total = 0.0
    for id in logits.indices where logits[id] >= cutoff {
      let weight = expf((logits[id] - greatest) / temperature)
      candidates.append(Candidate(id: Int32(truncatingIfNeeded: id), weight: weight))
      total += Double(weight)
    }
    return total
  }

  /// Fills `nucleus` with the heaviest candidates until they weigh `mass`. Returns what they weigh.
  ///
  /// Only the head is sorted: candidates above a threshold that falls until they weigh enough.
  private func cutNucleus(mass: Double) -> Double {
    var threshold: Float = 1 / 64
    while true {
      nucleus.removeAll(keepingCapacity: true)
      var weight = 0.0
      for candidate in candidates where candidate.weight >= threshold {
        nucleus.append(candidate)
        weight += Double(candidate.weight)
      }
      if weight >= mass || nucleus.count == candidates.count { break }
      threshold /= 256
    }
    nucleus.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.id < $1.id }
    var kept = 0
    var weight = 0.0
    repeat {
      weight += Double(nucleus[kept].weight)
      kept += 1
    } while weight < mass && kept < nucleus.count
    nucleus.removeSubrange(kept...)
    return weight
  }

  private func token(at target: Double, in candidates: [Candidate]) -> Int32 {
    var passed = 0.0
    var last: Int32 = 0
    for candidate in candidates where candidate.weight > 0 {
      passed += Double(candidate.weight)
      last = candidate.id
      if passed > target { break }
    }
    return last
  }

  /// The k-th largest value, by a heap of the k largest so far, least on top. Not-a-number counts for nothing.
  /// - Precondition: `0 < k`.
  private func largest(_ k: Int, of values: UnsafeMutableBufferPointer<Float>) -> Float {
    heap.removeAll(keepingCapacity: true)
    for value in values {
      if heap.count < k {
        if !value.isNaN { siftUp(value) }
      } else if value > heap[0] {
        siftDown(value)
      }
    }
    return heap.count < k ? -.infinity : heap[0]
  }

  private func siftUp(_ value: Float) {
    var slot = heap.count
    heap.append(value)
    while slot > 0, heap[(slot - 1) / 2] > value {
      heap[slot] = heap[(slot - 1) / 2]
      slot = (slot - 1) / 2
    }
    heap[slot] = value
  }

  /// Replaces the top.
  private func siftDown(_ value: Float) {
    var slot = 0
    while 2 * slot + 1 < heap.count {
      var child = 2 * slot + 1
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < value else { break }
      heap[slot] = heap[child]
      slot = child
    }
    heap[slot] = value
  }

  // MARK: Log-probabilities

  /// Keeps the raw logits for `logprobs(of:top:)`, before they are changed.
  func keep(_ logits: UnsafeMutableBufferPointer<Float>) {
    rawLogits.removeAll(keepingCapacity: true)
    rawLogits.append(contentsOf: logits)
  }

  /// Of the logits that were kept last.
  func logprobs(of token: Int32, top count: Int) -> TokenLogprobs {
    rawLogits.withUnsafeMutableBufferPointer { logits in
      let greatest = maximum(logits)
      let normalizer = greatest + Float(log(logits.reduce(0.0) { $0 + Double(expf($1 - greatest)) }))
      return TokenLogprobs(
        logprob: logits[Int(token)] - normalizer,
        top: top(count, of: logits).map { (id: $0.id, logprob: $0.weight - normalizer) },
        rank: logits.reduce(0) { $1 >= logits[Int(token)] ? $0 + 1 : $0 })
    }
  }

  /// The `count` greatest, best first, of equals the lowest id first; `weight` is the logit.
  private func top(_ count: Int, of logits: UnsafeMutableBufferPointer<Float>) -> ArraySlice<Candidate> {
    guard count > 0 else { return [] }
    let least = count < logits.count ? largest(count, of: logits) : -.infinity
    var best: [Candidate] = []
    for id in logits.indices where logits[id] >= least {
      best.append(Candidate(id: Int32(truncatingIfNeeded: id), weight: logits[id]))
    }
    best.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.id < $1.id }
    return best.prefix(count)
  }
}
