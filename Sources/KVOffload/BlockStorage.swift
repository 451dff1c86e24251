import KVBlocks

/// The bytes of a tier that outlives the process, place by place. Who calls sees to it that a place has one writer, and no
/// reader while it is written.
package protocol BlockStorage: Sendable {
  /// - Parameter order: of all writes; what has the lowest is the first to give way after a restart.
  func write(
    _ bytes: UnsafeRawBufferPointer, named name: KVBlockName, order: UInt64, to place: KVBlockID
  ) throws(OffloadError)

  /// - Throws: `corruptBlock` if the place does not hold, bit for bit, what was written there last.
  func read(from place: KVBlockID, into bytes: UnsafeMutableRawBufferPointer) throws(OffloadError)

  /// Nothing that was written is there after the next start.
  func forget() throws(OffloadError)
}
