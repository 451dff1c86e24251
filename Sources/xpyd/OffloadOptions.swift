import ArgumentParser
import KVOffload

/// Where evicted KV is kept. Together they stand for LMCache's `local_cpu` and `local_disk`, and go before them.
package struct OffloadOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Memory that keeps evicted KV, so that a repeated prompt skips its prefill (default: none).", valueName: "GiB"))
  package var kvOffloadingSize: Double?

  @Option(
    help: ArgumentHelp("Folder of files that keep evicted KV, for the next start too.", valueName: "path"))
  package var kvOffloadingDisk: String?

  @Option(help: ArgumentHelp("Size of those files.", valueName: "GiB"))
  package var kvOffloadingDiskSize: Double?

  package init() {}

  package func validate() throws {
    for case (let name, let value?) in [
      ("--kv-offloading-size", kvOffloadingSize), ("--kv-offloading-disk-size", kvOffloadingDiskSize),
    ] where !(value > 0 && value <= Self.mostGibibytes) {
      throw ValidationError("\(name) must be more than 0 GiB and at most \(Int(Self.mostGibibytes)), not \(value).")
    }
    guard (kvOffloadingDisk == nil) == (kvOffloadingDiskSize == nil) else {
      throw ValidationError("Give --kv-offloading-disk and --kv-offloading-disk-size together.")
    }
  }

  private static let mostGibibytes = 1_048_576.0

  /// nil if nothing is asked for.
  package var configuration: OffloadConfiguration? {
    guard kvOffloadingSize != nil || kvOffloadingDisk != nil else { return nil }
    var configuration = OffloadConfiguration(memoryBytes: Self.bytes(kvOffloadingSize ?? 0))
    if let folder = kvOffloadingDisk, let size = kvOffloadingDiskSize {
      configuration.disk = OffloadConfiguration.Disk(folder: folder, bytes: Self.bytes(size))
    }
    return configuration
  }

  private static func bytes(_ gibibytes: Double) -> Int { Int(gibibytes * Double(1 << 30)) }
}
