import KVBlocks
import KVOffload
import KVTransfer

/// What `Scheduler.schedule` decided for one step.
package struct StepPlan: Sendable {
  /// New tokens of one running sequence.
  package struct Entry: Sendable, Equatable {
    /// Into `Scheduler.running`, valid until a sequence leaves it.
    package var index: Int
    /// Positions to compute; the last ones are the draft's.
    package var positions: Range<Int>
    /// Of these, the positions whose logits tell how likely the prompt's next token is.
    package var scored: Range<Int>
    /// The last of these positions, but for the draft, is the sequence's last token: its logits give the next.
    package var samples: Bool
    /// Tokens guessed to follow the sequence's last; each one's logits count if all before it were right.
    package var draft: [Int32] = []

    /// Rows whose logits are wanted.
    package var sampledRows: Int { samples ? 1 + draft.count : 0 }
  }

  package struct Pull: Sendable {
    package var number: UInt64
    package var handoff: KVHandoff
    package var destination: [KVBlockID]
  }

  /// Blocks that come back from memory or disk, where the prefix cache ends.
  package struct Load: Sendable {
    package var number: UInt64
    package var ticket: OffloadStore.Ticket
    package var destination: [KVBlockID]
  }

  package var entries: [Entry] = []
  package var pulls: [Pull] = []
  package var loads: [Load] = []
  /// Given blocks for the first time.
  package var admitted: [UInt64] = []
  package var preempted: [UInt64] = []

  /// Nothing will change until something outside does.
  package var isIdle: Bool { entries.isEmpty && pulls.isEmpty && loads.isEmpty && preempted.isEmpty }
}
