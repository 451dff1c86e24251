import ServingAPI

/// A response as it came over the wire.
struct Answer: Sendable {
  var status: Int
  /// Names in lower case.
  var headers: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var json: BodyValue { (try? BodyParser.parse(body)) ?? .null }

  /// The `data:` payloads of an event stream, `[DONE]` included.
  var events: [String] {
    text.split(separator: "\n\n").map { String($0.dropFirst("data: ".count)) }
  }

  var chunks: [BodyValue] {
    events.filter { $0 != "[DONE]" }.map { (try? BodyParser.parse(Array($0.utf8))) ?? .null }
  }

  /// The text of one choice, put together from its chunks or from the one body.
  func output(_ index: Int = 0) -> String {
    let isStreamed = headers["content-type"]?.hasPrefix("text/event-stream") == true
    var text = ""
    for body in isStreamed ? chunks : [json] {
      for choice in body["choices"]?.arrayValue ?? [] where choice["index"] == BodyValue(index) {
        let content = choice["text"] ?? choice["delta"]?["content"] ?? choice["message"]?["content"]
        text += content?.stringValue ?? ""
      }
    }
    return text
  }

  /// nil while bytes are missing.
  init?(_ bytes: [UInt8], connectionEnded: Bool = false) {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
    guard let code = lines.first?.split(separator: " ").dropFirst().first, let status = Int(code) else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
    }
    self.status = status
    self.headers = headers
    let rest = Array(bytes[end.upperBound...])
    if let length = headers["content-length"].flatMap({ Int($0) }) {
      guard rest.count >= length else { return nil }
      body = Array(rest[..<length])
    } else if headers["transfer-encoding"] == "chunked" {
      guard let whole = Self.unchunked(rest) else { return nil }
      body = whole
    } else {
      guard connectionEnded else { return nil }
      body = rest
    }
  }

  private static func unchunked(_ bytes: [UInt8]) -> [UInt8]? {
    var rest = bytes[...]
    var out: [UInt8] = []
    while let line = rest.firstRange(of: Array("\r\n".utf8)) {
      guard let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16) else { return nil }
      rest = rest[line.upperBound...]
      if size == 0 { return out }
      guard rest.count >= size + 2 else { return nil }
      out += rest.prefix(size)
      rest = rest.dropFirst(size + 2)
    }
    return nil
  }
}
