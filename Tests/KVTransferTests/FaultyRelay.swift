import CLinux
import Glibc
import KVTransfer
import Synchronization

/// A TCP relay that does one thing wrong on each connection, at a given byte of one direction.
final class FaultyRelay: Sendable {
  struct Fault: Sendable {
    enum Kind: CaseIterable, Sendable {
      /// Both ends see the connection end.
      case cut
      case flippedBit
      /// That byte and all behind it are held back, and the connection stays.
      case hang
      /// The byte is left out.
      case missingByte
      case doubledByte
    }

    var kind: Kind
    /// False: from the one who dials.
    var isAnswer: Bool
    /// Counted from 0; beyond the end of what is sent, nothing is wrong.
    var byte: Int
  }

  let port: Int
  private let listener: Int32
  private let target: Int
  private let fault: Fault
  private let isRunning = Mutex(true)
  private let ended = EventLog()

  init(to target: Int, _ fault: Fault) throws {
    self.target = target
    self.fault = fault
    listener = Socket.listen(on: try SocketAddress.numeric("127.0.0.1", port: 0).get())
    port = SocketAddress.bound(listener).port
    startThread { [self] in serve() }
  }

  /// Returns when the relay's thread is gone.
  func close() async {
    isRunning.withLock { $0 = false }
    shutdown(listener, Int32(SHUT_RDWR))
    await ended.next()
    Glibc.close(listener)
  }

  private func serve() {
    while isRunning.withLock({ $0 }) {
      var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      poll(&poller, 1, -1)
      let descriptor = xs_accept(listener)
      if descriptor >= 0 { relay(Socket(adopting: descriptor, peer: "the one who dials")) }
    }
    ended.note()
  }

  /// One connection, to its end or to the relay's.
  private func relay(_ client: Socket) {
    defer { client.close() }
    guard let server = try? Socket.dial(host: "127.0.0.1", port: target, within: .seconds(5), attach: { _ in }) else {
      return
    }
    defer { server.close() }
    var (asked, answered) = (0, 0)
    while isRunning.withLock({ $0 }) {
      var pollers = [client, server].map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
      poll(&pollers, 2, 20)
      if pollers[0].revents != 0, !pass(client, to: server, isAnswer: false, &asked) { return }
      if pollers[1].revents != 0, !pass(server, to: client, isAnswer: true, &answered) { return }
    }
  }

  /// - Returns: False when the connection is over.
  private func pass(_ from: Socket, to: Socket, isAnswer: Bool, _ passed: inout Int) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = recv(from.descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return count < 0 && errno == EAGAIN }
    bytes.removeLast(bytes.count - count)
    defer { passed += count }
    let place = fault.byte - passed
    guard isAnswer == fault.isAnswer, place < count else { return send(bytes, to) }
    // What comes behind a hang is held back too.
    if fault.kind == .hang { return place <= 0 || send(Array(bytes[..<place]), to) }
    guard place >= 0 else { return send(bytes, to) }
    switch fault.kind {
    case .cut:
      _ = send(Array(bytes[..<place]), to)
      return false
    case .flippedBit: bytes[place] ^= 1 << UInt8(fault.byte % 8)
    case .missingByte: bytes.remove(at: place)
    case .doubledByte: bytes.insert(bytes[place], at: place)
    case .hang: break
    }
    return send(bytes, to)
  }

  private func send(_ bytes: [UInt8], _ to: Socket) -> Bool {
    (try? to.send(bytes, testPatience, for: "the relay")) != nil
  }
}

/// For what blocks: the tests' tasks have few threads.
func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { context in
      Unmanaged<Start>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Start(body)).toOpaque())
  pthread_detach(thread)
}
