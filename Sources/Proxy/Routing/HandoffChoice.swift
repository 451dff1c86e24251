import Synchronization

/// The handoff in use as long as there is somebody to prefill for others. Under `HandoffKind.auto` it is nixl until the
/// workers have told. A `Mutex` guards it.
final class HandoffChoice: Sendable {
  private let configuration: ProxyConfiguration
  let isToBeDetected: Bool
  private let state: Mutex<(kind: HandoffKind, handoff: (any Handoff)?)>

  init(_ configuration: ProxyConfiguration) {
    self.configuration = configuration
    let kind = configuration.handoff == .auto ? .nixl : configuration.handoff
    isToBeDetected = configuration.handoff == .auto
    state = Mutex((kind, configuration.makeHandoff(kind)))
  }

  var kind: HandoffKind { state.withLock { $0.kind } }

  /// nil if there is never a prefill leg.
  var handoff: (any Handoff)? { state.withLock { $0.handoff } }

  func use(_ kind: HandoffKind) {
    let handoff = configuration.makeHandoff(kind)
    state.withLock { $0 = (kind, handoff) }
  }
}
