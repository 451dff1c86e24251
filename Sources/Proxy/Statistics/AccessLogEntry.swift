import HTTPServer
import NIOCore

/// What the access log tells of one request.
package struct AccessLogEntry: Sendable {
  /// Since 1970.
  package var milliseconds: Int64
  package var client: String
  /// Checked: they hold neither space nor control byte.
  package var method: String
  package var path: String
  package var requestID: String?
  package var response: HTTPResponseWriter.Summary
  package var duration: TimeAmount
  /// Of a generation.
  package var timeline: RequestTimeline?

  package init(
    milliseconds: Int64, client: String, method: String, path: String, requestID: String?,
    response: HTTPResponseWriter.Summary, duration: TimeAmount, timeline: RequestTimeline?
  ) {
    self.milliseconds = milliseconds
    self.client = client
    self.method = method
    self.path = path
    self.requestID = requestID
    self.response = response
    self.duration = duration
    self.timeline = timeline
  }

  /// 499, as nginx has it, for a client that left before there was a status.
  private var status: Int { response.status ?? 499 }

  func write(_ format: AccessLogSettings.Format, into out: inout [UInt8]) {
    switch format {
    case .text: writeText(into: &out)
    case .json: writeJSON(into: &out)
    }
    out.append(UInt8(ascii: "\n"))
  }

  package func line(_ format: AccessLogSettings.Format) -> String {
    var out: [UInt8] = []
    write(format, into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  private func writeText(into out: inout [UInt8]) {
    out += "INFO:     ".utf8
    out += client.utf8
    out += " - \"".utf8
    out += method.utf8
    out.append(UInt8(ascii: " "))
    out += path.utf8
    out += " HTTP/1.1\" ".utf8
    out.append(decimal: Int64(status))
    if !response.isWhole { out += " broken".utf8 }
    out += " total=".utf8
    out.append(milliseconds: duration)
    if let time = timeline?.timeToFirstToken {
      out += " ttft=".utf8
      out.append(milliseconds: time)
    }
    if let prefiller = timeline?.prefiller { out.append(" prefiller=", prefiller + 1) }
    if let decoder = timeline?.decoder { out.append(" decoder=", decoder + 1) }
    if let migrations = timeline?.migrations, migrations > 0 { out.append(" migrations=", migrations) }
    if let requestID {
      out += " id=".utf8
      out += requestID.utf8
    }
  }

  private func writeJSON(into out: inout [UInt8]) {
    out += #"{"time":"#.utf8
    out.append(decimal: milliseconds / 1000)
    out.append(UInt8(ascii: "."))
    out.append(threeDigits: milliseconds % 1000)
    out += #","client":""#.utf8
    out += client.utf8
    out += #"","method":""#.utf8
    out += method.utf8
    out += #"","path":""#.utf8
    out.append(escaped: path)
    out += #"","status":"#.utf8
    out.append(decimal: Int64(status))
    out += #","bytes":"#.utf8
    out.append(decimal: Int64(response.bytes))
    out += #","whole":"#.utf8
    out += (response.isWhole ? "true" : "false").utf8
    out += #","duration":"#.utf8
    out += "\(duration.seconds)".utf8
    if let requestID {
      out += #","request_id":""#.utf8
      out.append(escaped: requestID)
      out.append(UInt8(ascii: "\""))
    }
    if let timeline {
      out += #","timing":"#.utf8
      out += timeline.json.utf8
    }
    out.append(UInt8(ascii: "}"))
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ label: StaticString, _ number: Int) {
    label.withUTF8Buffer { append(contentsOf: $0) }
    append(decimal: Int64(number))
  }

  fileprivate mutating func append(decimal number: Int64) { append(contentsOf: String(number).utf8) }

  fileprivate mutating func append(threeDigits number: Int64) {
    for divisor in [100, 10, 1] as [Int64] { append(UInt8(ascii: "0") + UInt8(number / divisor % 10)) }
  }

  /// With three digits behind the point, and the unit.
  fileprivate mutating func append(milliseconds time: TimeAmount) {
    append(decimal: time.nanoseconds / 1_000_000)
    append(UInt8(ascii: "."))
    append(threeDigits: time.nanoseconds / 1000 % 1000)
    append(contentsOf: "ms".utf8)
  }

  /// - Parameter text: Printable ASCII.
  fileprivate mutating func append(escaped text: String) {
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { append(UInt8(ascii: "\\")) }
      append(byte)
    }
  }
}
