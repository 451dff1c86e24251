import KVBlocks

/// A handoff whose prompt may still be on the way through the model: its publisher says here what is there, and those who
/// serve it wait here for more.
///
/// `advance`, any number of times → `complete` or `fail`, once, all by the publisher's thread. The state is a `Monitor`.
package final class KVPublication: Sendable {
  private struct State: Sendable {
    var progress: KVProgress
    /// Bytes that are there since those who wait were woken.
    var unannounced = 0
    var hasFailed = false
  }

  package let handoff: KVHandoff
  private let layout: KVLayout
  private let state: Monitor<State>
  private let onComplete: @Sendable () -> Void
  private let onFail: @Sendable () -> Void

  /// What a wake-up is worth. A chunk of 512 tokens is 393 KB a layer with a model of 135 million parameters.
  private static let announcedBytes = 1 << 20

  /// - Parameters:
  ///   - onComplete: The blocks are the handoff's from now on.
  ///   - onFail: When it returns nobody may come to believe any more that the blocks were held.
  package init(
    _ handoff: KVHandoff, layout: KVLayout, onComplete: @escaping @Sendable () -> Void,
    onFail: @escaping @Sendable () -> Void
  ) {
    self.handoff = handoff
    self.layout = layout
    self.onComplete = onComplete
    self.onFail = onFail
    state = Monitor(
      State(progress: KVProgress(layers: layout.layers, total: layout.blocks(forTokens: handoff.tokens))))
  }

  /// The KV of the prompt's first `tokens` tokens is in the blocks, as far as this layer goes, and stays as it is.
  package func advance(layer: Int, tokens: Int) {
    let isNews = state.withLock { state in
      let blocks = tokens >= handoff.tokens ? state.progress.total : tokens / layout.blockSize
      state.unannounced += state.progress.advance(layer, to: blocks) * layout.bytesPerLayer
      guard state.unannounced >= Self.announcedBytes || state.progress.isComplete else { return false }
      state.unannounced = 0
      return true
    }
    if isNews { state.update { _ in } }
  }

  /// All of the prompt's KV is there, and the blocks are given to the handoff: its lease begins.
  package func complete() {
    for layer in 0..<layout.layers { advance(layer: layer, tokens: handoff.tokens) }
    onComplete()
  }

  /// The prompt's KV will never be whole. To be called before its blocks may be reused, and not after `complete`.
  package func fail() {
    onFail()
    state.update { $0.hasFailed = true }
  }

  // MARK: For those who serve it

  enum News: Equatable {
    case progress(KVProgress)
    case failed
    /// Nothing until the deadline.
    case none
  }

  var isComputed: Bool { state.withLock { $0.progress.isComplete } }

  /// Blocks the calling thread until there is more than `known`, at most until `deadline`.
  func news(past known: KVProgress, until deadline: ContinuousClock.Instant) -> News {
    state.wait { state in
      if state.hasFailed { return .done(.failed) }
      if state.progress != known { return .done(.progress(state.progress)) }
      return .now >= deadline ? .done(.none) : .wait(until: deadline)
    }
  }

  /// Blocks the calling thread until all is there, at most until `deadline`.
  func computed(until deadline: ContinuousClock.Instant) -> News {
    state.wait { state in
      if state.hasFailed { return .done(.failed) }
      if state.progress.isComplete { return .done(.progress(state.progress)) }
      return .now >= deadline ? .done(.none) : .wait(until: deadline)
    }
  }
}
