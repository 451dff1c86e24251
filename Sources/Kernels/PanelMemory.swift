import Glibc
import Synchronization

/// Memory for packed panels: anonymous, zeroed, on huge pages where the system gives them (a decoded token walks over
/// all weights of the model; with 4 KiB pages that takes a third longer).
///
/// Small matrices share a slab, since a huge page is 2 MiB. A slab is unmapped when its last matrix is gone.
final class PanelMemory: Sendable {
  // SAFETY: the slab lives as long as this object, and each object has its own part of it.
  nonisolated(unsafe) let base: UnsafeMutablePointer<UInt8>
  private let slab: Slab

  init(byteCount: Int) {
    (slab, base) = Self.current.withLock { current in
      if let slab = current, let base = slab.take(byteCount) { return (slab, base) }
      let slab = Slab(byteCount: max(byteCount, Slab.usualByteCount))
      let base = slab.take(byteCount)!
      current = slab
      return (slab, base)
    }
  }

  private static let current = Mutex<Slab?>(nil)
}

private final class Slab: Sendable {
  static let usualByteCount = 32 << 20
  private static let hugePage = 2 << 20

  private let byteCount: Int
  // SAFETY: mapped from init to deinit; parts are handed out once each.
  private nonisolated(unsafe) let base: UnsafeMutableRawPointer
  private let used = Mutex(0)

  init(byteCount: Int) {
    self.byteCount = (byteCount + 2 * Self.hugePage - 1) / Self.hugePage * Self.hugePage
    let address = mmap(nil, self.byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let address, address != MAP_FAILED else {
      fatalError("cannot map \(self.byteCount) bytes for weights: \(String(cString: strerror(errno)))")
    }
    base = address
    madvise(base, self.byteCount, MADV_HUGEPAGE)
    // The first part starts on a huge page.
    used.withLock { $0 = (Self.hugePage - Int(bitPattern: base) % Self.hugePage) % Self.hugePage }
  }

  deinit { munmap(base, byteCount) }

  /// The next `count` bytes, aligned to a cache line; nil if the slab has not so many left.
  func take(_ count: Int) -> UnsafeMutablePointer<UInt8>? {
    used.withLock { used in
      let end = used + (count + 63) / 64 * 64
      guard end <= byteCount else { return nil }
      defer { used = end }
      return (base + used).assumingMemoryBound(to: UInt8.self)
    }
  }
}
