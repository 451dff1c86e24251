import Engine
import Testing

@Suite struct AdmissionTests {
  @Test(arguments: [(0, 256, 1), (100, 10, 1), (500, 20, 5), (2000, 30, 30), (60_000, 256, 60)])
  func `A refused client is told half the time that the queue needs to drain, 1 to 60 seconds`(
    millisecondsPerAdmission: Int, waiting: Int, seconds: Int
  ) {
    #expect(
      Admission.retryHint(interval: .milliseconds(millisecondsPerAdmission), waiting: waiting) == .seconds(seconds))
  }
}
