import NIOCore
import NIOPosix
import Tokenization

/// Sends the workload to the target, each request when it is due, and tells of each as it ends. A request that fails is
/// a record, not an error. If the task is cancelled no more are sent, those on their way end as `cancelled`, and it
/// returns as usual.
///
/// - Parameter onEvent: Called one at a time: records in the order in which they ended, and ten times a second
///   progress. If it throws, the run is stopped and the error thrown on.
package func benchmark(
  _ workload: Workload, against target: Target, options: RunOptions, onEvent: (RunEvent) throws -> Void
) async throws {
  guard !workload.requests.isEmpty else { throw BenchError.emptyWorkload(workload.description) }
  try workload.check(against: target)
  let dialer = try Dialer(target)
  let plan = RunPlan(workload, target: target, options: options)
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let outcome: Result<Void, any Error>
  do {
    outcome = .success(try await run(plan, dialer: dialer, on: group.next(), onEvent: onEvent))
  } catch {
    outcome = .failure(error)
  }
  try? await group.shutdownGracefully()
  try outcome.get()
}

/// As above, with all records at the end.
package func benchmark(
  _ workload: Workload, against target: Target, options: RunOptions
) async throws -> [RequestRecord] {
  var records: [RequestRecord] = []
  try await benchmark(workload, against: target, options: options) { event in
    if case .record(let record) = event { records.append(record) }
  }
  return records
}

private func run(
  _ plan: RunPlan, dialer: Dialer, on eventLoop: any EventLoop, onEvent: (RunEvent) throws -> Void
) async throws {
  let mailbox = EventMailbox()
  let client = BenchClient(plan, dialer: dialer, eventLoop: eventLoop) { mailbox.put($0) }
  client.start()
  var failure: (any Error)?
  await withTaskCancellationHandler {
    while true {
      for event in await mailbox.take() {
        do {
          if failure == nil { try onEvent(counted(event, by: plan.options.tokenizer)) }
        } catch {
          failure = error
          client.stop()
        }
        if case .ended = event { return }
      }
    }
  } onCancel: {
    client.stop()
  }
  if let failure { throw failure }
}

/// Counts the tokens of an answer that came without `usage`, where we can.
private func counted(_ event: RunEvent, by tokenizer: Tokenizer?) -> RunEvent {
  guard case .record(var record) = event, record.tokenSource == .chunks, let tokenizer, let text = record.text else {
    return event
  }
  record.outputTokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false).count
  record.tokenSource = .tokenizer
  return .record(record)
}
