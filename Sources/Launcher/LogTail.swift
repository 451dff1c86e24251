import Foundation

/// The last lines of a log file, for the message that tells why its process ended.
enum LogTail {
  /// Reads at most the last 16 KiB. A missing or empty file gives no lines.
  static func lines(of path: String, count: Int = 15) -> [String] {
    guard let file = FileHandle(forReadingAtPath: path), let size = try? file.seekToEnd() else { return [] }
    defer { try? file.close() }
    try? file.seek(toOffset: size > 16_384 ? size - 16_384 : 0)
    let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
    return text.split(separator: "\n").suffix(count).map(String.init)
  }
}
