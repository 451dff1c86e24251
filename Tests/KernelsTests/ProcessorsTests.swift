import Kernels
import Testing

struct ProcessorsTests {
  /// Processors are a thread's: the test must not give its own back to the pool changed.
  @Test func `A body runs on its processor, and the thread is free again afterwards`() {
    let allowed = Processors.allowed
    #expect(!allowed.isEmpty)
    for processor in allowed {
      var within: [Int] = []
      Processors.run(on: processor) { within = Processors.allowed }
      #expect(within == [processor])
    }
    #expect(Processors.allowed == allowed)
  }

  @Test(arguments: [-1, 1023, 1024, .max])
  func `On a processor that is none the body runs all the same`(processor: Int) {
    let allowed = Processors.allowed
    var within: [Int] = []
    Processors.run(on: processor) { within = Processors.allowed }
    #expect(within == allowed)
    #expect(Processors.allowed == allowed)
  }
}
