import Testing

import Launcher

struct LaunchSequenceTests {
  /// Decoder 0; prefillers 1 and 2; proxy 3.
  private func sequence(after events: [LaunchSequence.Event]) -> LaunchSequence {
    var sequence = LaunchSequence(stageSizes: [1, 2, 1])
    _ = sequence.begin()
    for event in events { _ = sequence.handle(event) }
    return sequence
  }

  private let allReady: [LaunchSequence.Event] = [.ready(0), .ready(1), .ready(2), .ready(3)]

  @Test func `A stage starts when all of the stage before it are ready`() {
    var sequence = LaunchSequence(stageSizes: [1, 2, 1])
    #expect(sequence.begin() == [.start(stage: 0, [0])])
    #expect(sequence.handle(.ready(0)) == [.start(stage: 1, [1, 2])])
    #expect(sequence.handle(.ready(2)) == [])
    #expect(sequence.handle(.ready(1)) == [.start(stage: 2, [3])])
    #expect(sequence.handle(.ready(3)) == [.announce])
  }

  @Test func `A signal stops the stages in reverse, each when the one after it is gone`() {
    var sequence = sequence(after: allReady)
    #expect(sequence.handle(.stopSignal) == [.stop([3])])
    #expect(sequence.handle(.exited(3)) == [.stop([1, 2])])
    #expect(sequence.handle(.exited(1)) == [])
    #expect(sequence.handle(.exited(2)) == [.stop([0])])
    #expect(sequence.handle(.exited(0)) == [.finish(exitCode: 0)])
  }

  @Test func `A second signal kills what is left`() {
    var sequence = sequence(after: allReady + [.stopSignal, .exited(3)])
    #expect(sequence.handle(.stopSignal) == [.kill([0, 1, 2])])
  }

  @Test func `A worker that dies is reported, and the rest goes on`() {
    var sequence = sequence(after: allReady)
    #expect(sequence.handle(.exited(2)) == [.report(.died(2))])
    #expect(sequence.handle(.exited(0)) == [.report(.died(0))])
    #expect(sequence.handle(.stopSignal) == [.stop([3])])
    #expect(sequence.handle(.exited(3)) == [.stop([1])])
    #expect(sequence.handle(.exited(1)) == [.finish(exitCode: 0)])
  }

  @Test func `When the proxy dies the rest is stopped, with exit code 1`() {
    var sequence = sequence(after: allReady)
    #expect(sequence.handle(.exited(3)) == [.report(.died(3)), .stop([1, 2])])
    #expect(sequence.handle(.exited(1)) == [])
    #expect(sequence.handle(.exited(2)) == [.stop([0])])
    #expect(sequence.handle(.exited(0)) == [.finish(exitCode: 1)])
  }

  @Test func `A child that dies while its stage starts ends the start`() {
    var sequence = sequence(after: [])
    #expect(sequence.handle(.exited(0)) == [.report(.died(0)), .finish(exitCode: 1)])
    #expect(sequence.handle(.ready(0)) == [])
  }

  @Test func `A deadline names those that are not ready, and only while starting`() {
    var starting = sequence(after: [.ready(0), .ready(2)])
    #expect(starting.handle(.deadline(stage: 0)) == [], "the time of a stage that has long been ready")
    #expect(starting.handle(.deadline(stage: 1)) == [.report(.notReady([1])), .stop([1, 2])])
    var up = sequence(after: allReady)
    #expect(up.handle(.deadline(stage: 2)) == [])
  }

  @Test func `Children that die out of order while stopping are not asked again`() {
    var sequence = sequence(after: allReady + [.stopSignal])
    #expect(sequence.handle(.exited(1)) == [])
    #expect(sequence.handle(.exited(3)) == [.stop([2])])
  }
}
