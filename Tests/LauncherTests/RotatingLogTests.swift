import Foundation
import Synchronization
import Testing

import Launcher

struct RotatingLogTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("log-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

  @Test func `A log that grows too large is renamed, and the oldest goes`() throws {
    try withFolder { folder in
      let log = RotatingLog(path: "\(folder)/a.log", limits: .init(maxBytes: 10, keep: 2)) { _, _ in }
      for line in ["one 1234\n", "two 1234\n", "three 12\n", "four 123\n"] { log.append(line.utf8) }
      #expect(text("\(folder)/a.log") == "four 123\n")
      #expect(text("\(folder)/a.log.1") == "three 12\n")
      #expect(text("\(folder)/a.log.2") == "two 1234\n")
      #expect(text("\(folder)/a.log.3") == nil)
      #expect(log.lastLines(3) == ["two 1234", "three 12", "four 123"])
    }
  }

  @Test func `With nothing to keep a large log is emptied`() throws {
    try withFolder { folder in
      let log = RotatingLog(path: "\(folder)/a.log", limits: .init(maxBytes: 10, keep: 0)) { _, _ in }
      log.append("123456\n".utf8)
      log.append("abcdef\n".utf8)
      #expect(text("\(folder)/a.log") == "abcdef\n")
      let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(files == ["a.log"])
    }
  }

  @Test func `A full disk is told once, and the end of the log is still known`() {
    let faults = Mutex<[String]>([])
    // Its every write fails with ENOSPC.
    let log = RotatingLog(path: "/dev/full", limits: .init(maxBytes: 1 << 20, keep: 0)) { _, fault in
      faults.withLock { $0.append(fault) }
    }
    for line in 0..<5 { log.append("line \(line)\n".utf8) }
    #expect(faults.withLock { $0 } == ["No space left on device"])
    #expect(log.lastLines(2) == ["line 3", "line 4"])
  }

  @Test func `Writing goes on when the fault is mended, and a new fault is told again`() throws {
    try withFolder { folder in
      let faults = Mutex(0)
      let path = "\(folder)/later/a.log"
      let log = RotatingLog(path: path, limits: .init(maxBytes: 8, keep: 0)) { _, _ in faults.withLock { $0 += 1 } }
      log.append("lost\n".utf8)
      try FileManager.default.createDirectory(atPath: "\(folder)/later", withIntermediateDirectories: true)
      log.append("found\n".utf8)
      #expect(text(path) == "found\n")
      try FileManager.default.removeItem(atPath: "\(folder)/later")
      log.append("rotated\n".utf8)
      #expect(faults.withLock { $0 } == 2)
    }
  }

  @Test func `The memory of a log is bounded`() throws {
    try withFolder { folder in
      let log = RotatingLog(path: "\(folder)/a.log", limits: .init(maxBytes: 1 << 30, keep: 0)) { _, _ in }
      for _ in 0..<64 { log.append(Array(repeating: UInt8(ascii: "x"), count: 4096)) }
      #expect(log.lastLines(1).first?.count == 16_384)
    }
  }
}
