/// What has become of evicted KV since the start, for `/metrics`. Counted in blocks.
package struct OffloadStatistics: Sendable, Equatable {
  package struct Tier: Sendable, Equatable {
    /// Held now.
    package var blocks = 0
    /// Blocks of prompts that were looked for behind the prefix cache: found here, or not.
    package var hits = 0
    package var misses = 0
    package var stored = 0
    package var loaded = 0
    /// Given up for others.
    package var evictions = 0
    /// Not stored, because all room was in use, or too many waited for the disk.
    package var dropped = 0

    package init() {}
  }

  private var memory = Tier()
  private var disk = Tier()
  /// False if there is none, or it was given up.
  package var hasDisk = false
  /// By `OffloadError.label`, or `overdue`: a prompt did not wait for the disk any longer.
  package var failures: [String: Int] = [:]

  package init() {}

  package subscript(tier: OffloadTier) -> Tier {
    get { tier == .memory ? memory : disk }
    set {
      switch tier {
      case .memory: memory = newValue
      case .disk: disk = newValue
      }
    }
  }
}
