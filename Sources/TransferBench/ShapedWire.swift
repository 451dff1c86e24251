import CLinux
import Dispatch
import Glibc
import KVTransfer
import Synchronization

/// A wire of a given rate and delay between a decoder and a prefiller's transfer port, for machines whose kernel cannot shape one:
/// a relay on loopback. Each direction of each connection has the whole rate.
package final class ShapedWire: Sendable {
  package struct Shape: Sendable, Equatable {
    package let bytesPerSecond: Double
    /// One way, in seconds.
    package let delay: Double

    package init(bytesPerSecond: Double, delay: Double) {
      self.bytesPerSecond = bytesPerSecond
      self.delay = delay
    }
  }

  let port: Int
  private let listener: Int32
  private let target: Int
  private let shape: Shape

  /// Relays from now on, to 127.0.0.1; the listener lives as long as the process does: a measurement makes one.
  init(to target: Int, _ shape: Shape) throws {
    (self.target, self.shape) = (target, shape)
    listener = Socket.listen(on: try SocketAddress.numeric("127.0.0.1", port: 0).get())
    guard listener >= 0 else {
      throw KVTransferError.cannotListen(host: "127.0.0.1", port: 0, reason: String(cString: strerror(errno)))
    }
    port = SocketAddress.bound(listener).port
    Self.runThread { [self] in accept() }
  }

  /// A queue of its own gets a thread of its own while it is blocked.
  private static func runThread(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue(label: "xpyd.bench.wire").async(execute: body)
  }

  private func accept() {
    var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    while true {
      poll(&poller, 1, -1)
      let descriptor = xs_accept(listener)
      guard descriptor >= 0 else { continue }
      let decoder = Socket(adopting: descriptor, peer: "decoder")
      guard let prefiller = try? Socket.dial(host: "127.0.0.1", port: target, within: .seconds(5), attach: { _ in })
      else { continue }
      relay(from: decoder, to: prefiller)
      relay(from: prefiller, to: decoder)
    }
  }

  /// One direction, to its end: one thread takes bytes in, one gives them out when their time has come.
  private func relay(from: Socket, to: Socket) {
    let queue = WireQueue(shape)
    Self.runThread {
      var bytes = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        from.waitForBytes()
        let count = recv(from.descriptor, &bytes, bytes.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { continue }
        queue.put(Array(bytes.prefix(max(0, count))))
        if count <= 0 { return }
      }
    }
    Self.runThread {
      let patience = Patience(stall: .seconds(60), whole: .seconds(3600))
      while let bytes = queue.take(), (try? to.send(bytes, patience, for: "the wire")) != nil {}
      for socket in [from, to] { socket.interrupt() }
    }
  }
}

/// What is on its way, with the time at which it arrives. As much as a sender's and a receiver's socket would hold fits in.
private final class WireQueue: Sendable {
  private struct State {
    var parts: [(bytes: [UInt8], arrival: Double)] = []
    var bytes = 0
    /// When the last part has left.
    var departure = 0.0
  }

  private static let room = 4 << 20
  private let shape: ShapedWire.Shape
  private let state = Mutex(State())

  init(_ shape: ShapedWire.Shape) { self.shape = shape }

  /// - Parameter bytes: None: the end.
  func put(_ bytes: [UInt8]) {
    while state.withLock({ $0.bytes > Self.room }) { usleep(200) }
    state.withLock { state in
      state.departure = max(SteadyPrefill.now, state.departure) + Double(bytes.count) / shape.bytesPerSecond
      state.parts.append((bytes, state.departure + shape.delay))
      state.bytes += bytes.count
    }
  }

  /// Blocks until the next part arrives; nil at the end.
  func take() -> [UInt8]? {
    while true {
      let next = state.withLock { $0.parts.first?.arrival }
      let left = next.map { $0 - SteadyPrefill.now }
      guard let left, left <= 0 else {
        usleep(left.map { UInt32(min($0, 0.0002) * 1e6) + 1 } ?? 200)
        continue
      }
      let bytes = state.withLock { state in
        state.bytes -= state.parts[0].bytes.count
        return state.parts.removeFirst().bytes
      }
      return bytes.isEmpty ? nil : bytes
    }
  }
}
