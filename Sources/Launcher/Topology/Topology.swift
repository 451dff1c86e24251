/// How many prefillers and decoders a deployment has, written as the field writes it: `2p1d`.
package struct Topology: Equatable, Sendable {
  package let prefillers: Int
  package let decoders: Int

  /// More than this is a typing error, not a laptop.
  static let limit = 64

  /// - Throws: `TopologyError` unless `text` is `<X>p<Y>d` with X and Y from 1 to 64.
  package init(_ text: String) throws(TopologyError) {
    guard text.hasSuffix("d"), let separator = text.firstIndex(of: "p"),
      let prefillers = Int(text[..<separator]), let decoders = Int(text[text.index(after: separator)...].dropLast()),
      (1...Topology.limit).contains(prefillers), (1...Topology.limit).contains(decoders)
    else { throw TopologyError(text: text) }
    self.prefillers = prefillers
    self.decoders = decoders
  }
}

extension Topology: CustomStringConvertible {
  package var description: String { "\(prefillers)p\(decoders)d" }
}

package struct TopologyError: Error, CustomStringConvertible {
  let text: String
  package var description: String {
    "'\(text)' is no topology: write <prefillers>p<decoders>d, each from 1 to \(Topology.limit), such as 2p1d."
  }
}
