import Foundation

import Tokenization

/// Files that `Fixtures/make_template_reference.py` wrote with jinja2.
enum ChatTemplateFixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  /// The publishers' templates, which are not ours to copy: beside the checkout, or where the variable says.
  static let modelsFolder =
    ProcessInfo.processInfo.environment["XPYD_CHAT_TEMPLATES"].map { URL(filePath: $0) }
    ?? folder.appending(path: "../../../../shared/fixtures/chat_templates").standardizedFileURL

  static var hasModels: Bool { FileManager.default.fileExists(atPath: modelsFolder.path) }

  static func json(_ name: String) throws -> TemplateValue {
    var parser = OrderedJSON(bytes: Array(try Data(contentsOf: folder.appending(path: name))))
    return parser.value()
  }

  static func template(_ url: URL) throws -> ChatTemplate {
    // Noon of 14 March 2025, UTC: the same day nearly everywhere.
    try ChatTemplate(source: String(decoding: Data(contentsOf: url), as: UTF8.self), clock: { 1_741_953_600 })
  }

  static func template(_ source: String) throws(TemplateError) -> ChatTemplate {
    try ChatTemplate(source: source, clock: { 1_741_953_600 })
  }

  /// As in the script; enough against accidents.
  static func fnv1a(_ text: String) -> String {
    let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension TemplateValue {
  var entries: [(key: String, value: TemplateValue)] { if case .object(let map) = self { map.entries } else { [] } }

  var elements: [TemplateValue] { if case .array(let elements) = self { elements } else { [] } }

  var text: String? { if case .string(let text) = self { text } else { nil } }

  subscript(key: String) -> TemplateValue? { if case .object(let map) = self { map[key] } else { nil } }

  var variables: [String: TemplateValue] { Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) }) }
}

/// A JSON reader that keeps the order of keys, which Foundation's does not. For trusted fixtures only.
struct OrderedJSON {
  let bytes: [UInt8]
  var place = 0

  mutating func value() -> TemplateValue {
    skipBlanks()
    switch bytes[place] {
    case UInt8(ascii: "{"):
      var map = TemplateMap<TemplateValue>()
      group("}") { json in
        let key = json.string()
        json.skipBlanks()
        json.place += 1
        map[key] = json.value()
      }
      return .object(map)
    case UInt8(ascii: "["):
      var elements: [TemplateValue] = []
      group("]") { json in elements.append(json.value()) }
      return .array(elements)
    case UInt8(ascii: "\""): return .string(string())
    default: return scalar()
    }
  }

  private mutating func group(_ end: Unicode.Scalar, _ element: (inout OrderedJSON) -> Void) {
    place += 1
    skipBlanks()
    while bytes[place] != UInt8(ascii: end) {
      if bytes[place] == UInt8(ascii: ",") { place += 1 }
      skipBlanks()
      element(&self)
      skipBlanks()
    }
    place += 1
  }

  private mutating func scalar() -> TemplateValue {
    let start = place
    while place < bytes.count, ![0x20, 0x0A, 0x2C, 0x5D, 0x7D].contains(bytes[place]) { place += 1 }
    let word = String(decoding: bytes[start..<place], as: UTF8.self)
    switch word {
    case "null": return .none
    case "true": return .bool(true)
    case "false": return .bool(false)
    default: return Int(word).map(TemplateValue.int) ?? .double(Double(word)!)
    }
  }

  mutating func string() -> String {
    let start = place
    place += 1
    while bytes[place] != UInt8(ascii: "\"") { place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1 }
    place += 1
    let data = Data(bytes[start..<place])
    return try! JSONDecoder().decode(String.self, from: data)
  }

  private mutating func skipBlanks() {
    while place < bytes.count, bytes[place] <= 0x20 { place += 1 }
  }
}
