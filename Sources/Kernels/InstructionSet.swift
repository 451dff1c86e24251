import CKernels

/// Whose arithmetic to use. All give the same bits; they differ in speed.
package struct InstructionSet: Sendable {
  package let name: String
  // SAFETY: points to a constant of the C target.
  nonisolated(unsafe) let table: UnsafePointer<xk_table>

  /// Plain C: runs everywhere.
  package static let portable = InstructionSet(name: "portable", table: xk_portable())
  /// Every one that this machine can run, the best first.
  package static let available: [InstructionSet] =
    [("avx2", xk_avx2()), ("neon", xk_neon())].compactMap { name, table in
      table.map { InstructionSet(name: name, table: $0) }
    } + [portable]
  package static let best = available[0]
}
