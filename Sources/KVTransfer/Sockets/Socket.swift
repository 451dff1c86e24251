import CLinux
import Glibc
import Synchronization

/// A connected, non-blocking stream socket whose every wait has a deadline.
///
/// One thread at a time sends and receives; `interrupt` may come from any thread.
package final class Socket: Sendable {
  package let descriptor: Int32
  /// The other end, for errors' texts.
  package let peer: String
  private let isOpen = Mutex(true)

  package init(adopting descriptor: Int32, peer: String) {
    self.descriptor = descriptor
    self.peer = peer
  }

  deinit { close() }

  package func close() {
    isOpen.withLock { isOpen in
      if isOpen { Glibc.close(descriptor) }
      isOpen = false
    }
  }

  /// Makes every present and future call fail at once, and the peer see the end. The descriptor stays, so that its
  /// number cannot be another file's while a call is under way.
  package func interrupt() {
    isOpen.withLock { isOpen in
      if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
  }

  /// Sends all of `parts`, in order.
  package func send(
    _ parts: [UnsafeRawBufferPointer], _ patience: Patience, for what: String
  ) throws(KVTransferError) {
    var pending = PendingBytes(parts)
    while !pending.isEmpty {
      let sent = pending.withMessage { sendmsg(descriptor, &$0, Self.noSignal) }
      if sent >= 0 { pending.advance(by: sent) } else { try wait(for: POLLOUT, patience, what) }
    }
  }

  /// Sends `head`, then `payload`.
  package func send(
    _ head: [UInt8], payload: [UnsafeRawBufferPointer] = [], _ patience: Patience, for what: String
  ) throws(KVTransferError) {
    let result = head.withUnsafeBytes { head in
      Result { () throws(KVTransferError) in try send([head] + payload, patience, for: what) }
    }
    try result.get()
  }

  /// Fills all of `parts`, in order.
  package func receive(
    into parts: [UnsafeMutableRawBufferPointer], _ patience: Patience, for what: String
  ) throws(KVTransferError) {
    var pending = PendingBytes(parts.map(UnsafeRawBufferPointer.init))
    while !pending.isEmpty {
      let received = pending.withMessage { recvmsg(descriptor, &$0, 0) }
      if received == 0 { throw .peerClosed(peer: peer, during: what) }
      if received > 0 { pending.advance(by: received) } else { try wait(for: POLLIN, patience, what) }
    }
  }

  package func receive(_ count: Int, _ patience: Patience, for what: String) throws(KVTransferError) -> [UInt8] {
    guard count > 0 else { return [] }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    defer { buffer.deallocate() }
    try receive(into: [buffer], patience, for: what)
    return Array(buffer)
  }

  /// As `receive`, over a Unix socket, and the first descriptor that comes along; the caller owns it.
  package func receiveWithDescriptor(
    _ count: Int, _ patience: Patience, for what: String
  ) throws(KVTransferError) -> (bytes: [UInt8], descriptor: Int32?) {
    var bytes = [UInt8](repeating: 0, count: count)
    var first: Int32?
    var position = 0
    do throws(KVTransferError) {
      while position < count {
        var one: Int32 = -1
        let received = bytes.withUnsafeMutableBytes {
          xs_receive_descriptor(descriptor, $0.baseAddress! + position, count - position, &one)
        }
        if one >= 0 {
          if first == nil { first = one } else { Glibc.close(one) }
        }
        if received == 0 { throw .peerClosed(peer: peer, during: what) }
        if received > 0 { position += received } else { try wait(for: POLLIN, patience, what) }
      }
    } catch {
      if let first { Glibc.close(first) }
      throw error
    }
    return (bytes, first)
  }

  /// Sends `bytes` and a descriptor with the first of them, over a Unix socket.
  package func send(
    _ bytes: [UInt8], descriptor passed: Int32, _ patience: Patience, for what: String
  ) throws(KVTransferError) {
    while true {
      let sent = xs_send_descriptor(descriptor, bytes, bytes.count, passed)
      if sent < 0 {
        try wait(for: POLLOUT, patience, what)
        continue
      }
      return try send(Array(bytes.dropFirst(sent)), patience, for: what)
    }
  }

  /// Waits for bytes or the end, without a deadline: for a connection that may rest as long as it likes.
  package func waitForBytes() {
    var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while Glibc.poll(&poller, 1, -1) < 0 && errno == EINTR {}
  }

  /// False once the peer has closed (or has sent what nobody asked for).
  package var isQuiet: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) < 0 && errno == EAGAIN
  }

  /// True once either side has ended the connection, whatever is still to be read.
  package var hasEnded: Bool {
    let peerHasEnded: Int32 = 0x2000  // POLLRDHUP, which Glibc's module hides.
    var poller = pollfd(fd: descriptor, events: Int16(peerHasEnded), revents: 0)
    return Glibc.poll(&poller, 1, 0) > 0
  }

  private static let noSignal = Int32(MSG_NOSIGNAL)

  /// After a call that failed: returns when it is worth another try.
  private func wait(for event: Int32, _ patience: Patience, _ what: String) throws(KVTransferError) {
    switch errno {
    case EINTR: return
    case EAGAIN: break
    case EPIPE, ECONNRESET, ENOTCONN, EBADF: throw .peerClosed(peer: peer, during: what)
    case let code: throw .peerUnreachable(peer: peer, reason: String(cString: strerror(code)))
    }
    let (deadline, after) = patience.next
    guard poll(until: deadline, for: event) else { throw .timedOut(what: "\(what) from \(peer)", after: after) }
  }

  /// - Returns: False if the deadline came first.
  package func poll(until deadline: ContinuousClock.Instant, for event: Int32) -> Bool {
    var poller = pollfd(fd: descriptor, events: Int16(event), revents: 0)
    while true {
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { return false }
      let milliseconds = Int32(
        min(60_000, left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1))
      if Glibc.poll(&poller, 1, milliseconds) > 0 { return true }
    }
  }
}

/// Buffers that a socket has yet to send or fill.
private struct PendingBytes {
  private var vectors: [iovec]
  private var first = 0
  /// `IOV_MAX`.
  private static let vectorLimit = 1024

  package init(_ parts: [UnsafeRawBufferPointer]) {
    vectors = parts.lazy.filter { !$0.isEmpty }.map {
      iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
    }
  }

  package var isEmpty: Bool { first == vectors.count }

  package mutating func withMessage(_ call: (inout msghdr) -> Int) -> Int {
    let first = first
    return vectors.withUnsafeMutableBufferPointer { vectors in
      var message = msghdr()
      message.msg_iov = vectors.baseAddress! + first
      message.msg_iovlen = min(vectors.count - first, Self.vectorLimit)
      return call(&message)
    }
  }

  package mutating func advance(by count: Int) {
    var left = count
    while first < vectors.count, left >= vectors[first].iov_len {
      left -= vectors[first].iov_len
      first += 1
    }
    if left > 0 {
      vectors[first].iov_base += left
      vectors[first].iov_len -= left
    }
  }
}
