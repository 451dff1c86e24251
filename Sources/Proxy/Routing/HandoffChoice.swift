import Synchronization

/// The handoff in use. Under `HandoffKind.auto` it is nixl until the workers have told, and none if there is nobody to
/// prefill for others. A `Mutex` guards it.
final class HandoffChoice: Sendable {
  private let configuration: ProxyConfiguration
  let isToBeDetected: Bool
  private let state: Mutex<(kind: HandoffKind, handoff: (any Handoff)?)>

  init(_ configuration: ProxyConfiguration) {
    self.configuration = configuration
    let isAlone = configuration.prefillers.isEmpty && configuration.both.isEmpty
    let kind: HandoffKind = configuration.handoff == .auto ? isAlone ? .none : .nixl : configuration.handoff
    isToBeDetected = configuration.handoff == .auto && !isAlone
    state = Mutex((kind, configuration.makeHandoff(kind)))
  }

  var kind: HandoffKind { state.withLock { $0.kind } }

  /// nil if there is no prefill leg.
  var handoff: (any Handoff)? { state.withLock { $0.handoff } }

  func use(_ kind: HandoffKind) {
    let handoff = configuration.makeHandoff(kind)
    state.withLock { $0 = (kind, handoff) }
  }
}
