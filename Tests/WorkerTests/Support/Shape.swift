import ServingAPI

/// What two bodies have in common when only their values differ: keys, their order, and the kind of each value.
enum Shape {
  /// Where the kinds may differ: null or a value, as the generation went.
  private static let optional: Set<String> = ["stop_reason", "finish_reason"]
  /// Objects whose keys are tokens.
  private static let maps: Set<String> = ["top_logprobs"]

  /// - Returns: The first difference, with its path; nil if there is none.
  static func difference(_ ours: BodyValue, _ theirs: BodyValue, at path: String = "body") -> String? {
    let key = path.split(separator: ".").last.map(String.init) ?? ""
    switch (ours, theirs) {
    case (.object(let ours), .object(let theirs)):
      if maps.contains(key) { return nil }
      guard ours.keys == theirs.keys else { return "\(path): \(ours.keys) instead of \(theirs.keys)" }
      return ours.members.lazy.compactMap { member in
        difference(member.value, theirs[member.key]!, at: "\(path).\(member.key)")
      }.first
    case (.array(let ours), .array(let theirs)):
      guard ours.isEmpty == theirs.isEmpty else { return "\(path): \(ours.count) elements, not \(theirs.count)" }
      guard let first = theirs.first else { return nil }
      return ours.lazy.compactMap { difference($0, first, at: path) }.first
    case (.null, .null), (.bool, .bool), (.string, .string): return nil
    case (.integer, .integer), (.number, .number), (.integer, .number), (.number, .integer): return nil
    default: return optional.contains(key) ? nil : "\(path): \(ours) instead of \(theirs)"
    }
  }
}
