import Foundation

/// Draws from the gamma distribution of scale 1 (its mean is its shape).
///
/// Source: Marsaglia & Tsang 2000, "A simple method for generating gamma variables", with their boost for shapes below
/// 1.
package struct GammaDistribution: Sendable {
  package let shape: Double

  /// - Precondition: `shape` is positive.
  package init(shape: Double) {
    precondition(shape > 0, "a gamma distribution's shape is positive, not \(shape)")
    self.shape = shape
  }

  package func next(using dice: inout some RandomNumberGenerator) -> Double {
    if shape < 1 { return Self.next(shape + 1, &dice) * pow(Self.unit(&dice), 1 / shape) }
    return Self.next(shape, &dice)
  }

  private static func next(_ shape: Double, _ dice: inout some RandomNumberGenerator) -> Double {
    let d = shape - 1 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal(&dice)
      let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
      if v > 0, log(unit(&dice)) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
    }
  }

  /// Box & Muller 1958.
  private static func normal(_ dice: inout some RandomNumberGenerator) -> Double {
    (-2 * log(unit(&dice))).squareRoot() * cos(2 * Double.pi * unit(&dice))
  }

  /// In (0, 1], so that it has a logarithm.
  private static func unit(_ dice: inout some RandomNumberGenerator) -> Double {
    1 - Double.random(in: 0..<1, using: &dice)
  }
}
