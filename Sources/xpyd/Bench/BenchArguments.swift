import ArgumentParser
import Foundation

/// `a,b,c`
struct CommaList<Value: ExpressibleByArgument & Sendable>: ExpressibleByArgument, Sendable {
  var values: [Value]

  init(_ values: [Value]) { self.values = values }

  init?(argument: String) {
    values = []
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      guard let value = Value(argument: String(part)) else { return nil }
      values.append(value)
    }
  }

  var defaultValueDescription: String { values.map(\.defaultValueDescription).joined(separator: ",") }
}

/// `4K`, `256M`, `11796480`
struct ByteCount: ExpressibleByArgument, Sendable {
  var bytes: Int

  init(bytes: Int) { self.bytes = bytes }

  init?(argument: String) {
    let shifts: [Character: Int] = ["K": 10, "M": 20, "G": 30]
    let shift = argument.last.flatMap { shifts[$0] }
    guard let number = Int(shift == nil ? argument[...] : argument.dropLast()), (1...1 << 40).contains(number) else {
      return nil
    }
    bytes = number << (shift ?? 0)
  }

  var defaultValueDescription: String {
    for (suffix, shift) in [("M", 20), ("K", 10)] where bytes % (1 << shift) == 0 {
      return "\(bytes >> shift)\(suffix)"
    }
    return "\(bytes)"
  }
}

/// `127.0.0.1:7000`
struct Endpoint: ExpressibleByArgument, Sendable {
  var host: String
  var port: Int

  init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"), let port = Int(argument[argument.index(after: colon)...]),
      (0...65_535).contains(port), colon > argument.startIndex
    else { return nil }
    host = argument[..<colon].trimmingCharacters(in: ["[", "]"])
    self.port = port
  }
}
