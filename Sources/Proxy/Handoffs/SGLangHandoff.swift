import NIOCore
import ServingAPI

/// SGLang's contract: both workers get the client's body at once, with the address of the prefiller's bootstrap server
/// and a room of that server's in which the two meet. Several sequences need no more: the workers give the second one
/// room + 1, and so on.
///
/// The legs' sampling fields must be the same, because the decoder goes on from the token that the prefiller sampled. A
/// worker of either role answers 400 to a request without a room.
package struct SGLangHandoff: Handoff {
  static let fields = ["bootstrap_host", "bootstrap_port", "bootstrap_room"]
  /// SGLang's `--disaggregation-bootstrap-port`.
  package static let defaultPort = 8998
  private let ports: [WorkerAddress: Int]
  /// Of prefillers that were added later.
  private let usualPort: Int

  /// - Parameter bootstrapPorts: One for all prefillers, or one for each.
  package init(prefillers: [WorkerAddress], bootstrapPorts: [Int]) {
    var ports: [WorkerAddress: Int] = [:]
    for (index, prefiller) in prefillers.enumerated() {
      ports[prefiller] = bootstrapPorts.count > index ? bootstrapPorts[index] : bootstrapPorts.last
    }
    self.ports = ports
    usualPort = bootstrapPorts.last ?? Self.defaultPort
  }

  package var timing: HandoffTiming { .together }
  package var decodersCanPrefill: Bool { false }

  package func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer { body.edited(edits(pair)) }

  package func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer? {
    body.edited(edits(pair))
  }

  private func edits(_ pair: LegPair) -> [JSONEdit] {
    let host = pair.prefiller.host
    return [
      .set("bootstrap_host", host.contains(":") ? "\"[\(host)]\"" : "\"\(host)\""),
      .set("bootstrap_port", "\(ports[pair.prefiller] ?? usualPort)"), .set("bootstrap_room", "\(pair.room)"),
      .remove("kv_transfer_params"),
    ]
  }
}
