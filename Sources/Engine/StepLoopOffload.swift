import KVOffload

// Evicted KV in the step loop: what the pool gives away is kept, what a prompt needs of it comes back.
extension StepLoop {
  /// Plans a step, and keeps the KV of blocks that it gives away, before anything writes to them.
  func planStep() -> StepPlan {
    guard let offload else { return scheduler.schedule() }
    let plan = scheduler.schedule { parent, tokens in offload.find(after: parent, tokens) }
    offload.keep(scheduler.takeEvicted())
    return plan
  }

  /// - Precondition: There is an `offload`: else no plan has a load.
  func start(_ load: StepPlan.Load) {
    loads.insert(load.number)
    offload!.load(load.ticket, into: load.destination) { [mailbox] blocks in
      mailbox.post(.loadEnded(load.number, blocks: blocks))
    }
  }

  /// Nobody writes to the load's blocks any more. What has not come is computed.
  func loadEnded(_ number: UInt64, blocks: Int) {
    loads.remove(number)
    scheduler.loadEnded(number, blocks: requests[number] == nil ? nil : blocks)
  }

  func resetPrefixCache() {
    scheduler.forgetFreePrefixes()
    offload?.forget()
  }
}
