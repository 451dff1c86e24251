import Testing

import Launcher

struct SupervisorTests {
  private let start = ContinuousClock.now

  /// Decoder 0; prefillers 1 and 2; proxy 3. Two restarts, after 1 s and 2 s.
  private func fresh(stagger: Duration = .zero, remote: Set<Int> = []) -> Supervisor {
    let roles = [[0], [1, 1], [2]]
    var next = 0
    let stages = roles.map { stage in
      stage.map { role in
        defer { next += 1 }
        return Supervisor.Child(role: role, isOurs: !remote.contains(next))
      }
    }
    return Supervisor(
      stages: stages, policy: RestartPolicy(limit: 2, backoff: .seconds(1), backoffLimit: .seconds(30)),
      stagger: stagger)
  }

  private func handle(
    _ events: [Supervisor.Event], _ supervisor: inout Supervisor, at seconds: Int = 0
  ) -> [Supervisor.Action] {
    events.flatMap { supervisor.handle($0, now: start + .seconds(seconds)) }
  }

  private func up(remote: Set<Int> = []) -> Supervisor {
    var supervisor = fresh(remote: remote)
    _ = supervisor.begin()
    _ = handle([.due(0), .ready(0), .due(1), .due(2), .ready(1), .ready(2), .due(3), .ready(3)], &supervisor)
    return supervisor
  }

  @Test func `A stage starts when all of the stage before it are ready`() {
    var supervisor = fresh()
    #expect(supervisor.begin() == [.schedule(0, after: .zero)])
    #expect(handle([.due(0)], &supervisor) == [.launch(0, start: 1)])
    #expect(handle([.ready(0)], &supervisor) == [.schedule(1, after: .zero), .schedule(2, after: .zero)])
    #expect(handle([.due(1), .due(2)], &supervisor) == [.launch(1, start: 1), .launch(2, start: 1)])
    #expect(handle([.ready(2)], &supervisor) == [])
    #expect(handle([.ready(1)], &supervisor) == [.schedule(3, after: .zero)])
    #expect(handle([.due(3), .ready(3)], &supervisor) == [.launch(3, start: 1), .announce])
  }

  @Test func `The starts of a stage are as far apart as was asked`() {
    var supervisor = fresh(stagger: .seconds(5))
    _ = supervisor.begin()
    #expect(
      handle([.due(0), .ready(0)], &supervisor).suffix(2) == [
        .schedule(1, after: .zero), .schedule(2, after: .seconds(5)),
      ])
  }

  @Test func `A signal stops the stages in reverse, each when the one after it is gone`() {
    var supervisor = up()
    #expect(handle([.stopSignal], &supervisor) == [.stop([3])])
    #expect(handle([.exited(3)], &supervisor) == [.stop([1, 2])])
    #expect(handle([.exited(1)], &supervisor) == [])
    #expect(handle([.exited(2)], &supervisor) == [.stop([0])])
    #expect(handle([.exited(0)], &supervisor) == [.finish(exitCode: 0)])
  }

  @Test func `A second signal kills what is left`() {
    var supervisor = up()
    _ = handle([.stopSignal, .exited(3)], &supervisor)
    #expect(handle([.stopSignal], &supervisor) == [.kill([0, 1, 2])])
  }

  @Test(arguments: [0, 2, 3])
  func `What dies is started again, after a pause that grows`(child: Int) {
    var supervisor = up()
    #expect(
      handle([.exited(child)], &supervisor) == [
        .report(.diedAndRestarts(child, after: .seconds(1), attempt: 1)), .schedule(child, after: .seconds(1)),
      ])
    #expect(handle([.due(child)], &supervisor) == [.launch(child, start: 2)])
    #expect(
      handle([.exited(child)], &supervisor) == [
        .report(.diedAndRestarts(child, after: .seconds(2), attempt: 2)), .schedule(child, after: .seconds(2)),
      ])
    #expect(handle([.due(child), .ready(child)], &supervisor) == [.launch(child, start: 3), .recovered(child)])
  }

  @Test func `A crash loop of one of several is given up, and the rest goes on`() {
    var supervisor = up()
    _ = handle([.exited(1), .due(1), .exited(1), .due(1)], &supervisor)
    #expect(handle([.exited(1)], &supervisor) == [.report(.crashLoop(1, deaths: 3))])
    #expect(handle([.due(1)], &supervisor) == [])
    #expect(handle([.stopSignal, .exited(3)], &supervisor) == [.stop([3]), .stop([2])])
  }

  @Test(arguments: [0, 3])
  func `A crash loop of the last of its role stops everything, with exit code 1`(child: Int) {
    var supervisor = up()
    _ = handle([.exited(child), .due(child), .exited(child), .due(child)], &supervisor)
    let actions = handle([.exited(child)], &supervisor)
    #expect(actions.prefix(2) == [.report(.crashLoop(child, deaths: 3)), .report(.roleIsEmpty(child))])
    _ = handle([0, 1, 2, 3].filter { $0 != child }.reversed().map { .exited($0) }.dropLast(), &supervisor)
    #expect(handle([.exited(child == 0 ? 1 : 0)], &supervisor) == [.finish(exitCode: 1)])
  }

  @Test func `Who has been ready for a minute begins a new row of restarts`() {
    var supervisor = up()
    _ = handle([.exited(1), .due(1), .exited(1), .due(1), .ready(1)], &supervisor)
    #expect(
      handle([.exited(1)], &supervisor, at: 60).first
        == .report(.diedAndRestarts(1, after: .seconds(1), attempt: 1)))
  }

  @Test func `A child that dies before it was ever ready ends the start`() {
    var supervisor = fresh()
    _ = supervisor.begin()
    _ = handle([.due(0)], &supervisor)
    #expect(handle([.exited(0)], &supervisor) == [.report(.died(0)), .finish(exitCode: 1)])
    #expect(handle([.ready(0)], &supervisor) == [])
  }

  @Test func `A child that was ready may die while a later stage starts`() {
    var supervisor = fresh()
    _ = supervisor.begin()
    _ = handle([.due(0), .ready(0), .due(1), .due(2)], &supervisor)
    #expect(
      handle([.exited(0)], &supervisor).first == .report(.diedAndRestarts(0, after: .seconds(1), attempt: 1)))
    #expect(handle([.ready(1), .ready(2)], &supervisor) == [.schedule(3, after: .zero)])
  }

  @Test func `A deadline names those that are not ready, and counts for its own start alone`() {
    var starting = fresh()
    _ = starting.begin()
    _ = handle([.due(0), .ready(0), .due(1), .due(2), .ready(2)], &starting)
    #expect(handle([.deadline(0, start: 1)], &starting) == [], "the time of one that has long been ready")
    #expect(handle([.deadline(1, start: 1)], &starting) == [.report(.notReady([1])), .stop([1, 2])])
    var restarted = up()
    _ = handle([.exited(2), .due(2)], &restarted)
    #expect(handle([.deadline(2, start: 1)], &restarted) == [])
    #expect(handle([.deadline(2, start: 2)], &restarted) == [.report(.notReady([2])), .kill([2])])
  }

  @Test func `What runs elsewhere is awaited, and not stopped`() {
    var supervisor = up(remote: [0, 2])
    #expect(handle([.stopSignal], &supervisor) == [.stop([3])])
    #expect(handle([.exited(3)], &supervisor) == [.stop([1])])
    #expect(handle([.exited(1)], &supervisor) == [.finish(exitCode: 0)])
  }

  @Test func `A restart that is due after the stop does not happen`() {
    var supervisor = up()
    _ = handle([.exited(2), .stopSignal], &supervisor)
    #expect(handle([.due(2)], &supervisor) == [])
  }

  @Test(arguments: [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30)])
  func `Pauses double up to their limit`(death: Int, seconds: Int) {
    let policy = RestartPolicy(limit: 7, backoff: .seconds(1), backoffLimit: .seconds(30))
    #expect(policy.pause(afterDeath: death) == .seconds(seconds))
    #expect(policy.pause(afterDeath: 8) == nil)
  }
}
