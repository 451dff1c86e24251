/// What a matrix's products read activations as. Weights stay as the file has them.
///
/// Integers are only for matrices of blocks with a scale for 32 weights each (Q4_0, Q4_1, Q5_0, Q8_0); other formats are
/// multiplied in float32.
package enum ActivationType: String, CaseIterable, Sendable {
  case float32
  /// Rounded to int16 in blocks of 32 inputs: off by at most 2^-16 of a block's greatest, and twice as fast.
  case int16
  /// Rounded to int8 in blocks of 32 inputs, as llama.cpp does: faster still, and less exact.
  case int8

  /// What is taken where nobody asks.
  package static let standard = int16
}
