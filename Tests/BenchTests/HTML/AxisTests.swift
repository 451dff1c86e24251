import Bench
import Testing

struct AxisTests {
  @Test(
    arguments: [
      (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]), (37, [0, 5, 10, 15, 20, 25, 30, 35]), (0.98, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ] as [(Double, [Double])])
  func `Ticks are round`(limit: Double, expected: [Double]) {
    let ticks = Axis(upTo: limit, from: 0, to: 100).ticks(limit > 2 ? 7 : 5)
    #expect(ticks.count == expected.count)
    for (tick, value) in zip(ticks, expected) { #expect(abs(tick - value) < 1e-9) }
  }

  @Test(
    arguments: [
      (1.0, 1000.0, [1, 3, 10, 30, 100, 300, 1000]), (0.001, 100, [0.001, 0.01, 0.1, 1, 10, 100]),
      (2, 20, [2, 5, 10, 20]), (0.8, 1.25, [0.8, 0.9, 1, 1.1, 1.2]),
    ] as [(Double, Double, [Double])])
  func `Ticks of a logarithmic axis suit its length`(low: Double, high: Double, expected: [Double]) {
    let ticks = Axis(.logarithmic, low, high, from: 0, to: 100).ticks()
    #expect(ticks.count == expected.count)
    for (tick, value) in zip(ticks, expected) { #expect(abs(tick / value - 1) < 1e-6) }
  }

  @Test func `Values lie on the axis, those outside on its border`() {
    let linear = Axis(.linear, 0, 10, from: 100, to: 0)
    #expect([0, 5, 10, 11, -1].map(linear.position) == [100, 50, 0, 0, 100])
    #expect(linear.position(.infinity) == 0 && linear.position(.nan) == 100)
    let logarithmic = Axis(.logarithmic, 1, 100, from: 0, to: 100)
    #expect([1, 10, 100, 0, -5].map(logarithmic.position) == [0, 50, 100, 0, 0])
  }

  @Test(arguments: [0, -1, .nan, .infinity] as [Double])
  func `An axis of nothing goes to one`(limit: Double) {
    #expect(Axis(upTo: limit, from: 0, to: 1).position(1) == 1)
  }
}
