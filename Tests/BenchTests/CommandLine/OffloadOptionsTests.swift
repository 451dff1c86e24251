import ArgumentParser
import KVOffload
import Testing
import xpyd

/// `--kv-offloading-…` of `xpyd serve`.
struct OffloadOptionsTests {
  private func configuration(_ words: String) throws -> OffloadConfiguration? {
    try OffloadOptions.parse(words.split(separator: " ").map(String.init)).configuration
  }

  @Test func `Sizes are in GiB, and nothing is kept unless it is asked for`() throws {
    #expect(try configuration("") == nil)
    #expect(try configuration("--kv-offloading-size 1.5") == OffloadConfiguration(memoryBytes: 3 << 29))
    let disk = OffloadConfiguration.Disk(folder: "/kv", bytes: 4 << 30)
    #expect(
      try configuration("--kv-offloading-disk /kv --kv-offloading-disk-size 4")
        == OffloadConfiguration(memoryBytes: 0, disk: disk))
    #expect(
      try configuration("--kv-offloading-size 2 --kv-offloading-disk /kv --kv-offloading-disk-size 4")
        == OffloadConfiguration(memoryBytes: 2 << 30, disk: disk))
  }

  @Test(arguments: [
    "--kv-offloading-size 0", "--kv-offloading-size -1", "--kv-offloading-size 1e300", "--kv-offloading-size nan",
    "--kv-offloading-size much", "--kv-offloading-disk /kv", "--kv-offloading-disk-size 4",
    "--kv-offloading-disk /kv --kv-offloading-disk-size 0",
  ])
  func `What cannot be meant is refused`(words: String) {
    #expect(throws: (any Error).self) { try configuration(words) }
  }
}
