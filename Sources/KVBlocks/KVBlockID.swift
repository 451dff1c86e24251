/// The index of a block in its pool.
package struct KVBlockID: Hashable, Sendable {
  package let index: Int32
  package init(_ index: Int32) { self.index = index }
}

extension KVBlockID: CustomStringConvertible {
  package var description: String { "\(index)" }
}
