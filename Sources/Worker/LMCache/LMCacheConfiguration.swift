import Foundation
import KVOffload

/// What LMCache's settings say: this worker's part in push mode, and how much of its evicted KV it keeps.
///
/// They come from the YAML file that `LMCACHE_CONFIG_FILE` names or, without one, from variables `LMCACHE_<NAME>`; names of
/// older versions (`nixl_…`) and of newer ones (`pd_…`) mean the same.
package struct LMCacheConfiguration: Sendable, Equatable {
  /// nil: KV is handed to nobody.
  package var push: LMCachePush?
  /// nil: what the pool evicts is lost.
  package var offload: OffloadConfiguration?
  /// What has no effect, or another one than elsewhere: a line each.
  package var warnings: [String] = []

  /// - Parameter environment: of the process.
  package init(environment: [String: String]) throws(WorkerError) {
    let settings: [(key: String, value: String)]
    let source: String
    if let path = environment["LMCACHE_CONFIG_FILE"] {
      source = path
      settings = try Self.read(path)
    } else {
      source = "LMCACHE_* in the environment"
      settings = environment.filter { $0.key.hasPrefix("LMCACHE_") }.sorted { $0.key < $1.key }
        .map { ($0.key.dropFirst(8).lowercased(), $0.value) }
    }
    try self.init(settings, source: source)
  }

  private static func read(_ path: String) throws(WorkerError) -> [(key: String, value: String)] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw .badLMCacheConfiguration(source: path, "the file cannot be read as text")
    }
    do {
      return try FlatYAML.parse(text)
    } catch {
      throw .badLMCacheConfiguration(source: path, "line \(error.line): \(error.reason)")
    }
  }

  /// - Parameter source: for errors' texts.
  init(_ settings: [(key: String, value: String)], source: String) throws(WorkerError) {
    var reader = LMCacheReader(settings, source: source)
    if try reader.flag("enable_pd") == true { push = try LMCachePush(&reader, source: source) }
    offload = try Self.offload(&reader, isPush: push != nil)
    guard push != nil || offload != nil else {
      throw .badLMCacheConfiguration(
        source: source,
        "KV is neither handed over (enable_nixl, newer: enable_pd) nor kept (local_cpu, or local_disk with max_local_disk_size)"
      )
    }
    reader.checkWhatHasNoEffect()
    warnings = reader.warnings
  }

  /// Without push mode, LMCache keeps 5 GiB in memory unless told otherwise; beside it, nothing.
  private static func offload(_ reader: inout LMCacheReader, isPush: Bool) throws(WorkerError) -> OffloadConfiguration?
  {
    let keepsInMemory = try reader.flag("local_cpu") ?? !isPush
    let memory = try reader.gibibytes("max_local_cpu_size") ?? 5 << 30
    let folder = reader.text("local_disk").flatMap(Self.folder)
    let onDisk = try reader.gibibytes("max_local_disk_size") ?? 0
    var disk: OffloadConfiguration.Disk?
    switch (folder, onDisk) {
    case (let folder?, 1...): disk = OffloadConfiguration.Disk(folder: folder, bytes: onDisk)
    case (_?, _): reader.warn("'local_disk' has no effect without max_local_disk_size")
    case (nil, 1...): reader.warn("'max_local_disk_size' has no effect without local_disk")
    case (nil, _): break
    }
    let inMemory = keepsInMemory ? memory : 0
    return inMemory > 0 || disk != nil ? OffloadConfiguration(memoryBytes: inMemory, disk: disk) : nil
  }

  /// LMCache takes a path or a `file:` URL.
  private static func folder(_ text: String) -> String? {
    if text.lowercased() == "false" { return nil }
    return text.hasPrefix("file://") ? String(text.dropFirst("file://".count)) : text
  }
}
