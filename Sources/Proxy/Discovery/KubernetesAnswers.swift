import NIOCore
import Synchronization

/// What happened since the list is no longer known: a new list is needed.
struct OutdatedWatch: Error {}

/// The answer to a list, as it comes. A `Mutex` guards it.
final class SliceList: Sendable {
  private static let mostBytes = 64 << 20
  private let body = Mutex<[UInt8]>([])

  var bytes: [UInt8] { body.withLock { $0 } }

  func take(_ part: OutboundRequest.Part) throws {
    switch part {
    case .status(200): break
    case .status(let status): throw DiscoveryError.refused(status: status)
    case .bytes(let bytes):
      try body.withLock { body in
        guard body.count + bytes.readableBytes <= Self.mostBytes else {
          throw DiscoveryError.malformed(reason: "the list has more than \(Self.mostBytes) bytes")
        }
        body += bytes.readableBytesView
      }
    }
  }
}

/// The answer to a watch: a line for each event, and after each the slices as they then are. A `Mutex` guards it.
final class SliceWatch: Sendable {
  fileprivate static let mostBytesOfLine = 16 << 20

  fileprivate struct State {
    var slices: EndpointSlices
    var rest: [UInt8] = []
  }

  private let state: Mutex<State>
  private let changed: @Sendable ([WorkerAddress]) -> Void

  /// - Parameter changed: Is called on the connection's event loop, in the events' order.
  init(_ slices: EndpointSlices, changed: @escaping @Sendable ([WorkerAddress]) -> Void) {
    state = Mutex(State(slices: slices))
    self.changed = changed
  }

  var slices: EndpointSlices { state.withLock { $0.slices } }

  func take(_ part: OutboundRequest.Part) throws {
    switch part {
    case .status(200): break
    case .status(410): throw OutdatedWatch()
    case .status(let status): throw DiscoveryError.refused(status: status)
    case .bytes(let bytes):
      if let addresses = try state.withLock({ try $0.take(bytes) }) { changed(addresses) }
    }
  }
}

extension SliceWatch.State {
  /// - Returns: The workers if they are others than before.
  fileprivate mutating func take(_ bytes: ByteBuffer) throws -> [WorkerAddress]? {
    rest += bytes.readableBytesView
    let before = slices.addresses
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = Array(rest[..<end])
      rest.removeSubrange(...end)
      guard !line.isEmpty else { continue }
      if try slices.changed(line) == .outdated { throw OutdatedWatch() }
    }
    guard rest.count <= SliceWatch.mostBytesOfLine else {
      throw DiscoveryError.malformed(reason: "an event has more than \(SliceWatch.mostBytesOfLine) bytes")
    }
    return slices.addresses == before ? nil : slices.addresses
  }
}
