/// Takes settings by name, and notes what was not taken.
struct LMCacheReader {
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

  /// LMCache's "GB" are GiB.
  mutating func gibibytes(_ name: String) throws(WorkerError) -> Int? {
    guard let (key, value) = values.removeValue(forKey: name), !value.isEmpty else { return nil }
    guard let number = Double(value), (0...Self.mostGibibytes).contains(number) else {
      throw .badLMCacheConfiguration(
        source: source, "\(key) is '\(value)', not a number of GiB from 0 to \(Int(Self.mostGibibytes))")
    }
    return Int(number * Double(1 << 30))
  }

  private static let mostGibibytes = 1_048_576.0

  mutating func warn(_ warning: String) { warnings.append(warning) }

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
