import Foundation

/// What LMCache's settings say about this worker's part in push mode.
///
/// They come from the YAML file that `LMCACHE_CONFIG_FILE` names or, without one, from variables `LMCACHE_<NAME>`; names of
/// older versions (`nixl_…`) and of newer ones (`pd_…`) mean the same.
package struct LMCacheConfiguration: Sendable, Equatable {
  package enum Role: String, Sendable {
    case sender
    case receiver
  }

  package var role: Role
  /// The receiver's: where it listens, and where senders find it.
  package var host = "localhost"
  package var port = 0
  /// Of the receiver's buffer.
  package var bufferBytes = 1 << 30
  /// Whether KV that nobody reads may be given up after half a minute, or only after ten.
  package var collectsUnread = true
  /// How long a sender waits for room at the receiver; then it prefills, and the decoder computes the prompt too.
  package var roomTimeout = Duration.seconds(30)
  /// What has no effect, or another one than elsewhere: a line each.
  package var warnings: [String] = []

  package init(role: Role, port: Int) {
    self.role = role
    self.port = port
  }

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
    guard try reader.flag("enable_pd") == true else {
      throw .badLMCacheConfiguration(
        source: source, "enable_nixl (newer: enable_pd) is not True, and xpyd has LMCache's prefill-decode mode only")
    }
    guard let role = Role(rawValue: reader.text("pd_role") ?? "") else {
      throw .badLMCacheConfiguration(source: source, "nixl_role (newer: pd_role) is neither sender nor receiver")
    }
    self.role = role
    host = reader.text("pd_peer_host") ?? host
    port = try reader.number("pd_peer_init_port", in: 0...65_535) ?? 0
    guard port > 0 || role == .receiver else {
      throw .badLMCacheConfiguration(source: source, "a sender needs nixl_peer_port (newer: pd_peer_init_port)")
    }
    bufferBytes = try reader.number("pd_buffer_size", in: 1...(1 << 50)) ?? bufferBytes
    collectsUnread = try reader.flag("nixl_enable_gc") ?? true
    if let seconds = try reader.number("pd_allocation_timeout_sec", in: 0...600) { roomTimeout = .seconds(seconds) }
    reader.checkWhatHasNoEffect()
    warnings = reader.warnings
  }
}

/// Takes settings by name, and notes what was not taken.
private struct LMCacheReader {
  private(set) var warnings: [String] = []
  private var values: [String: (name: String, value: String)] = [:]
  private let source: String

  init(_ settings: [(key: String, value: String)], source: String) {
    self.source = source
    for (key, value) in settings {
      let name = LMCacheKeys.aliases[key] ?? key
      guard LMCacheKeys.known.contains(name) else {
        let hint = LMCacheKeys.nearest(to: key).map { ". Did you mean '\($0)'?" } ?? ""
        warnings.append("'\(key)' in \(source) is no setting of LMCache\(hint)")
        continue
      }
      values[name] = (key, value)
    }
  }

  /// nil if it is not set, or null.
  mutating func text(_ name: String) -> String? {
    guard let value = values.removeValue(forKey: name)?.value, !value.isEmpty else { return nil }
    return value
  }

  mutating func flag(_ name: String) throws(WorkerError) -> Bool? {
    guard let (key, value) = values.removeValue(forKey: name), !value.isEmpty else { return nil }
    switch value.lowercased() {
    case "true", "1", "yes": return true
    case "false", "0", "no": return false
    default: throw .badLMCacheConfiguration(source: source, "\(key) is '\(value)', not True or False")
    }
  }

  /// Of a list the first: we have one rank.
  mutating func number(_ name: String, in range: ClosedRange<Int>) throws(WorkerError) -> Int? {
    guard let (key, value) = values.removeValue(forKey: name), !value.isEmpty, value.lowercased() != "inf" else {
      return nil
    }
    let first = value.split(separator: ",").first.map(String.init) ?? ""
    guard let number = Double(first).flatMap({ Int(exactly: $0.rounded()) }), range.contains(number) else {
      throw .badLMCacheConfiguration(
        source: source, "\(key) is '\(value)', not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Values that ask for nothing are no news.
  mutating func checkWhatHasNoEffect() {
    if let device = text("pd_buffer_device"), !device.lowercased().hasPrefix("cpu") {
      warnings.append("nixl_buffer_device is '\(device)'; xpyd computes on the CPU, so the buffer is in its memory")
    }
    let silent = ["pd_peer_alloc_port", "remote_serde", "chunk_size"]
    let nothing = ["", "false", "0", "0.0"]
    for (name, setting) in values.sorted(by: { $0.key < $1.key })
    where !silent.contains(name) && !nothing.contains(setting.value.lowercased()) {
      warnings.append("'\(setting.name)' in \(source) has no effect here")
    }
  }
}
