import Glibc
import KVBlocks
import KVTransfer
import Testing

@Suite(.timeLimit(.minutes(5))) struct LeakTests {
  private static let pulls = 400
  /// Other suites of this process open and close files meanwhile; a leak of one a pull is far more than that.
  private static let noise = pulls / 2

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp])
  func `Pulls, each over connections of its own, leave no descriptor, mapping or thread`(
    transport: TransferConfiguration.Transports
  ) async throws {
    let before = count()
    try await withWorkers(transport) { prefiller, _ in
      for _ in 0..<Self.pulls {
        let decoder = try TestWorker(transport, engineID: "decoder", blockCount: 4)
        defer { decoder.transport.close() }
        _ = try await decoder.transport.pull(try prefiller.publish([1, 2]), into: blockIDs([1, 2]))
      }
    }
    let after = count()
    #expect(after.descriptors - before.descriptors < Self.noise)
    #expect(after.mappings - before.mappings < Self.noise)
    #expect(after.threads - before.threads < Self.noise)
  }

  @Test func `A working pair keeps its connections to few`() async throws {
    try await withWorkers(.auto) { prefiller, decoder in
      _ = try await decoder.transport.pull(try prefiller.publish([1]), into: blockIDs([1]))
      let before = count()
      for _ in 0..<Self.pulls {
        _ = try await decoder.transport.pull(try prefiller.publish([1]), into: blockIDs([1]))
      }
      let after = count()
      #expect(after.descriptors - before.descriptors < Self.noise)
      #expect(after.mappings - before.mappings < Self.noise)
    }
  }

  private func count() -> (descriptors: Int, mappings: Int, threads: Int) {
    let threads = entries(of: "/proc/self/task").flatMap { lines(of: "/proc/self/task/\($0)/comm") }
    return (
      entries(of: "/proc/self/fd").count, lines(of: "/proc/self/maps").count { $0.contains("xpyd-kv") },
      threads.count { $0.hasPrefix("kv-") }
    )
  }

  private func entries(of path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }

  private func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var lines: [String] = []
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, 512, file) != nil {
      lines.append(String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }
    return lines
  }
}
