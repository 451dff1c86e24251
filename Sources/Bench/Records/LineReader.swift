import Foundation

/// The lines of a file, one at a time, without their ends (`\n` or `\r\n`). Belongs to the task that makes it.
final class LineReader {
  private static let pieceBytes = 256 * 1024
  private let file: FileHandle
  private var bytes: [UInt8] = []
  private var position = 0
  private var isAtEnd = false

  init(path: String) throws(RecordFileError) {
    guard let file = FileHandle(forReadingAtPath: path) else { throw .cannotRead(path: path) }
    self.file = file
  }

  deinit { try? file.close() }

  func next() throws -> [UInt8]? {
    var searched = position
    while true {
      if let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        return Self.withoutReturn(bytes[position..<end])
      }
      if isAtEnd {
        guard position < bytes.count else { return nil }
        defer { position = bytes.count }
        return Self.withoutReturn(bytes[position...])
      }
      bytes.removeSubrange(..<position)
      position = 0
      searched = bytes.count
      let piece = try file.read(upToCount: Self.pieceBytes) ?? Data()
      isAtEnd = piece.isEmpty
      bytes += piece
    }
  }

  private static func withoutReturn(_ line: ArraySlice<UInt8>) -> [UInt8] {
    Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
  }
}
