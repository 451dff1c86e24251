import CLinux

/// The processors that the calling thread may run on.
package enum Processors {
  private static let words = xs_processor_limit / 64

  /// Ascending; empty if the system does not tell.
  package static var allowed: [Int] {
    var mask = [UInt64](repeating: 0, count: words)
    guard xs_get_processors(&mask) == 0 else { return [] }
    return (0..<64 * words).filter { mask[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
  }

  /// Calls `body` on one processor, or wherever it is if the system does not allow that one.
  package static func run<Result>(on processor: Int, _ body: () -> Result) -> Result {
    var before = [UInt64](repeating: 0, count: words)
    guard (0..<64 * words).contains(processor), xs_get_processors(&before) == 0 else { return body() }
    var only = [UInt64](repeating: 0, count: words)
    only[processor / 64] = 1 << UInt64(processor % 64)
    _ = xs_set_processors(only)
    defer { _ = xs_set_processors(before) }
    return body()
  }
}
