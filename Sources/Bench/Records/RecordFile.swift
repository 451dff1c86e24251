import Foundation
import ServingAPI

/// A raw file that is being written: a header, then a line for each request as it ends. Lines are gathered for a
/// moment, so that a run of thousands of requests a second does not write as often; `flush` and `close` write what is
/// gathered. Belongs to the task that makes it.
package final class RecordFileWriter {
  private static let mostGathered = 64 * 1024
  private let file: FileHandle
  private var gathered: [UInt8] = []

  /// Creates the file, or empties it.
  package init(path: String, header: RunHeader) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let file = FileHandle(forWritingAtPath: path)
    else { throw RecordFileError.cannotWrite(path: path) }
    self.file = file
    gather(header.json)
    try flush()
  }

  package func append(_ record: RequestRecord) throws {
    gather(record.json)
    if gathered.count >= Self.mostGathered { try flush() }
  }

  package func flush() throws {
    try file.write(contentsOf: Data(gathered))
    gathered.removeAll(keepingCapacity: true)
  }

  package func close() throws {
    try flush()
    try file.close()
  }

  private func gather(_ json: BodyValue) {
    gathered += json.encoded
    gathered.append(UInt8(ascii: "\n"))
  }
}

/// A raw file that is read line by line: a run's records need not fit into memory.
package struct RecordFile: Sendable {
  package let path: String
  package let header: RunHeader

  package init(path: String) throws {
    self.path = path
    let lines = try LineReader(path: path)
    guard let first = try lines.next() else { throw RecordSyntaxError(line: 1, reason: "the file is empty") }
    header = try RunHeader(try parse(first, line: 1))
  }

  /// Calls `body` with each record in the order in which they ended.
  ///
  /// - Throws: `RecordSyntaxError` on the first line that is none; what `body` throws.
  package func forEach(_ body: (RequestRecord) throws -> Void) throws {
    let lines = try LineReader(path: path)
    _ = try lines.next()
    var number = 1
    while let line = try lines.next() {
      number += 1
      if !line.isEmpty { try body(try RequestRecord(try parse(line, line: number), line: number)) }
    }
  }

  package func records() throws -> [RequestRecord] {
    var records: [RequestRecord] = []
    try forEach { records.append($0) }
    return records
  }
}

private func parse(_ line: [UInt8], line number: Int) throws(RecordSyntaxError) -> BodyValue {
  do {
    return try BodyParser.parse(line)
  } catch {
    throw RecordSyntaxError(line: number, reason: "\(error.reason) at byte \(error.offset)")
  }
}

package enum RecordFileError: Error, Equatable, CustomStringConvertible {
  case cannotWrite(path: String)
  case cannotRead(path: String)

  package var description: String {
    switch self {
    case .cannotWrite(let path): "Cannot write \(path). Does its folder exist, and may you write there?"
    case .cannotRead(let path): "Cannot read \(path). Is it there, and may you read it?"
    }
  }
}
