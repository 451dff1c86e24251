/// A test's result.
package struct BenchRow: Sendable {
  package let test: BenchTest
  package let threads: Int
  /// New tokens of all sequences a second.
  package let tokensPerSecond: Spread
  /// A second, at the median.
  package let operations: Double
  package let bytes: Double
  /// Of the peaks, 0…1.
  package let operationShare: Double
  package let byteShare: Double

  /// - Parameters:
  ///   - rates: Tokens a second of each repetition.
  ///   - amount: What one repetition needs.
  package init(test: BenchTest, rates: [Double], amount: ModelWork.Amount, peaks: MachinePeaks) {
    self.test = test
    threads = peaks.threads
    tokensPerSecond = Spread(rates)
    let repetitionsPerSecond = tokensPerSecond.median / Double(test.tokens * test.sequences)
    operations = amount.operations * repetitionsPerSecond
    bytes = amount.bytes * repetitionsPerSecond
    operationShare = operations / peaks.operations
    byteShare = bytes / peaks.bytes
  }
}
