import CKernels

/// How a tensor's numbers are stored. Raw values are GGUF's `ggml_type`.
package enum TensorFormat: UInt32, CaseIterable, Sendable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case bf16 = 30

  /// Weights per block; a row of a matrix is whole blocks.
  package var blockElements: Int { xk_block_elements(rawValue) }
  package var bytesPerBlock: Int { xk_block_bytes(rawValue) }

  /// Bytes of `count` weights, which must be whole blocks.
  package func byteCount(of count: Int) -> Int { count / blockElements * bytesPerBlock }
}

/// Writes the `count` numbers of `source`, the same bits as ggml's reference dequantisers.
///
/// - Parameter source: Whole blocks, at any alignment.
/// - Precondition: `count` is a multiple of the format's block.
package func dequantize(
  _ source: UnsafeRawPointer, format: TensorFormat, count: Int, into out: UnsafeMutablePointer<Float>
) {
  precondition(count >= 0 && count % format.blockElements == 0)
  xk_dequantize(format.rawValue, source.assumingMemoryBound(to: UInt8.self), count, out)
}
