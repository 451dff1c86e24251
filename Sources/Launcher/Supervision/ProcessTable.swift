import Foundation

/// What `/proc` tells of processes.
enum ProcessTable {
  static func processes() -> [Int32] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
  }

  /// At most 120 characters; empty if it is gone.
  static func commandLine(of pid: Int32) -> String {
    let bytes = contents("/proc/\(pid)/cmdline")
    return String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: " ") : $0 }.prefix(120), as: UTF8.self)
      .trimmingCharacters(in: .whitespaces)
  }

  /// Resident memory in bytes of a process and of all that it started; 0 if it is gone.
  static func residentBytes(ofGroup pid: Int32) -> Int {
    processes().reduce(0) { $0 + (group(of: $1) == pid ? resident($1) : 0) }
  }

  /// Those whose environment had `variable=value` when they started, and all others of their groups.
  static func marked(_ variable: String, _ value: String) -> [Int32] {
    let mark = Data("\(variable)=\(value)\0".utf8)
    let all = processes()
    let marked = all.filter { contents("/proc/\($0)/environ").range(of: mark) != nil }
    let groups = Set(marked.compactMap(group)).subtracting([getpgrp()])
    return all.filter { pid in
      pid != getpid() && (marked.contains(pid) || group(of: pid).map(groups.contains) == true) && !isZombie(pid)
    }
  }

  /// The fields behind the name, which may have spaces: state, parent, group, …
  private static func stat(_ pid: Int32) -> [Substring] {
    let text = String(decoding: contents("/proc/\(pid)/stat"), as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return [] }
    return text[text.index(after: end)...].split(separator: " ")
  }

  private static func group(of pid: Int32) -> Int32? {
    let fields = stat(pid)
    return fields.count > 2 ? Int32(fields[2]) : nil
  }

  private static func isZombie(_ pid: Int32) -> Bool { stat(pid).first == "Z" }

  private static func resident(_ pid: Int32) -> Int {
    let pages = String(decoding: contents("/proc/\(pid)/statm"), as: UTF8.self).split(separator: " ")
    return pages.count > 1 ? (Int(pages[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
  }

  private static func contents(_ path: String) -> Data { FileManager.default.contents(atPath: path) ?? Data() }
}
