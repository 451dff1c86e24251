/// What a matrix's products read activations as. Weights stay as the file has them.
///
/// A matrix whose format has no products in int8 (only Q4_0, Q4_1, Q5_0 and Q8_0 have) takes int16 in its place; one that
/// has none of integers at all (single numbers, Q6_K) float32.
package enum ActivationType: String, CaseIterable, Sendable {
  case float32
  /// Rounded to int16 in blocks of 32 inputs: off by at most 2^-16 of a block's greatest, and twice as fast.
  case int16
  /// Rounded to int8 in blocks of 32 inputs, as llama.cpp does: faster still, and less exact.
  case int8

  /// What is taken where nobody asks.
  package static let standard = int16
}
