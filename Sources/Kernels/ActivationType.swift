/// What a matrix's products read activations as. Weights stay as the file has them.
package enum ActivationType: String, CaseIterable, Sendable {
  case float32
  /// Rounded to int8 in blocks of 32 inputs, as llama.cpp does: faster, and less exact. Only where the matrix is Q4_0,
  /// Q4_1 or Q8_0; other formats are multiplied in float32.
  case int8
}
