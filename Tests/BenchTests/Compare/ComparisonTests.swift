import Bench
import Testing

struct ComparisonTests {
  private func side(_ ttft: Double, _ tpot: Double, failed: Int = 0) -> Comparison.Side {
    Comparison.Side(
      figures: [
        .meanTTFT: ttft, .p99TTFT: ttft * 2, .meanTPOT: tpot, .meanE2EL: ttft + 100 * tpot, .outputThroughput: 500,
      ], requests: 100, failed: failed)
  }

  private func comparison(_ rounds: [(a: Comparison.Side, b: Comparison.Side)]) -> Comparison {
    Comparison(labelA: "one", labelB: "two", rounds: rounds.map { Comparison.Round(a: $0.a, b: $0.b) })
  }

  private let steady = [1.0, 1.01, 0.99, 1.005, 0.995]

  @Test func `Nothing is said of a difference within the noise`() {
    let same = comparison(steady.map { (a: side(100, 10), b: side(100 * $0, 10 / $0)) })
    #expect(
      same.verdict == "one and two do not differ: mean TTFT 0.98–1.02, P99 TTFT 0.98–1.02, mean TPOT 0.98–1.02, "
        + "mean E2E latency 0.99–1.01 and output throughput 1.00–1.00 (ratios, 99 % intervals).")
  }

  @Test func `Noise that could hide a difference is no equality`() {
    let two = comparison([0.7, 1.4].map { (a: side(100, 10), b: side(100 * $0, 10)) })
    #expect(
      two.verdict == "The rounds differ too much to tell one from two in mean TTFT <0.01–>100, P99 TTFT <0.01–>100 and "
        + "mean E2E latency 0.13–7.55 (ratios, 99 % intervals); mean TPOT and output throughput do not differ. "
        + "Raise --rounds or --num-prompts.")
    let better = comparison([0.7, 1.4].map { (a: side(100, 10), b: side(100 * $0, 5)) })
    #expect(better.verdict.contains("better in mean TPOT (0.50×)"))
    #expect(better.verdict.contains("mean TTFT, P99 TTFT and mean E2E latency cannot be told from so few rounds"))
  }

  @Test func `What is better and what is worse are told apart`() {
    let mixed = comparison(steady.map { (a: side(100, 10), b: side(60 * $0, 11 * $0)) })
    #expect(
      mixed.verdict == "two is better in mean TTFT (0.60×) and P99 TTFT (0.60×), but worse in mean TPOT (1.10×) and "
        + "mean E2E latency (1.05×) than one; output throughput does not differ.")
  }

  @Test func `Larger is better for throughput`() {
    let faster = comparison(
      steady.map { noise in
        var b = side(100, 10)
        b.figures[.outputThroughput] = 700 * noise
        return (a: side(100, 10), b: b)
      })
    #expect(faster.verdict.hasPrefix("two is better in output throughput (1.40×) than one; "))
    #expect(faster.rows.first { $0.figure == .outputThroughput }?.isBetter == true)
  }

  @Test func `Failures, a single round and no answers allow no verdict`() {
    let failing = comparison([(a: side(100, 10), b: side(10, 1, failed: 3)), (a: side(100, 10), b: side(10, 1))])
    #expect(failing.verdict == "No verdict on speed, as requests failed: one 0 of 200, two 3 of 200.")
    #expect(comparison([(a: side(100, 10), b: side(10, 1))]).verdict.contains("one round shows no noise"))
    let silent = Comparison.Side(figures: [:], requests: 0, failed: 0)
    #expect(comparison([(a: silent, b: silent)]).verdict == "No verdict: no request was answered.")
  }

  @Test func `The table tells medians, ratio, interval and range`() {
    let rounds = [(100, 150), (102, 153), (90, 135)].map { (a: side($0.0, 10), b: side($0.1, 10)) }
    let lines = comparison(rounds).text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0] == "| median of rounds          |   one |   two | B / A | 99 % interval | rounds' range |")
    #expect(lines[2] == "| mean TTFT (ms)            |   100 |   150 | 1.50× |     1.50–1.50 |     1.50–1.50 |")
    #expect(lines[lines.count - 2] == "\(comparison(rounds).verdict)")
  }

  @Test func `The JSON holds figures, rounds and verdict`() {
    let json = comparison(steady.map { (a: side(100, 10), b: side(60 * $0, 10)) }).json
    #expect(json["a"]?.stringValue == "one")
    let figure = json["figures"]?.arrayValue?.first
    #expect(figure?["figure"]?.stringValue == "mean_ttft_ms")
    #expect(figure?["b_is_better"] == .bool(true))
    #expect(json["rounds"]?.arrayValue?.count == 5)
    #expect(json["rounds"]?.arrayValue?[0]["b"]?["mean_ttft_ms"] == .number(60))
  }
}
