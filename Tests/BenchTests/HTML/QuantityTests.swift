import Bench
import Testing

struct QuantityTests {
  @Test(arguments: [
    (0, "0 s"), (0.000_001, "1 µs"), (0.000_85, "850 µs"), (0.0125, "12.5 ms"), (0.9994, "999 ms"), (0.9996, "1 s"),
    (1.234, "1.23 s"), (599.4, "599 s"), (600, "10 min"), (36_000, "10 h"), (-0.002, "−2 ms"),
  ])
  func `Times carry the unit that suits them`(seconds: Double, expected: String) {
    #expect(Quantity.time(seconds) == expected)
  }

  @Test(arguments: [
    (0, "0"), (0.012_34, "0.0123"), (1.5, "1.5"), (9.996, "10"), (12.34, "12.3"), (99.96, "100"), (312.4, "312"),
    (12_345, "12,345"), (1e14, "100,000,000,000,000"), (1e18, "1e+18"), (Double.infinity, "∞"), (Double.nan, "–"),
  ])
  func `Numbers have three significant digits`(value: Double, expected: String) {
    #expect(Quantity.digits(value) == expected)
  }

  @Test(arguments: [
    (0, "0 %"), (1, "100 %"), (0.9999, "> 99.9 %"), (0.0001, "< 0.1 %"), (0.975, "97.5 %"), (0.5, "50 %"),
  ])
  func `A share says all and none only when it is`(share: Double, expected: String) {
    #expect(Quantity.share(share) == expected)
  }
}
