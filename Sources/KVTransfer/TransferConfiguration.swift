/// How a worker takes part in KV transfers.
package struct TransferConfiguration: Sendable {
  package enum Transports: String, Sendable, CaseIterable {
    /// Shared memory where both workers run on one host; NIXL where both have it and an RDMA device; else TCP.
    case auto
    /// Shared memory or failure.
    case shm
    case tcp
    /// NIXL or failure.
    case nixl

    var mayShareMemory: Bool { self == .auto || self == .shm }
  }

  /// Which pulls compare a CRC32C of every block at both ends.
  package enum Checksums: String, Sendable, CaseIterable {
    case never
    /// Those over TCP and NIXL; shared memory has no wire.
    case wire
    case always
  }

  package struct Timeouts: Sendable {
    package var connect: Duration = .seconds(2)
    package var handshake: Duration = .seconds(5)
    /// The longest silence in mid-transfer.
    package var stall: Duration = .seconds(10)
    /// One pull as a whole, on both sides; the time in the queue counts.
    package var pull: Duration = .seconds(60)
    /// What a pull may take longer whose prompt is still being computed.
    package var prefill: Duration = .seconds(120)

    package init() {}
  }

  /// One address of this host, or a name of it: peers dial what it stands for at the start.
  package var listenHost = "127.0.0.1"
  /// 0: any free port.
  package var port = 0
  /// Proved by both sides before any KV moves, and never sent. Required to listen beyond loopback.
  package var secret: String?
  package var transports = Transports.auto
  /// NIXL's library, or the folder of Python packages that it is in; nil: wherever Python would look.
  package var nixlLibrary: String?
  /// As decoder.
  package var checksums = Checksums.wire
  /// Pulls that move at the same time; others wait in the order of their arrival.
  package var pullThreads = 4
  /// Pulls that follow a prefill at the same time: they wait more than they move.
  package var followThreads = 64
  /// Connections served at the same time; each has a thread.
  package var connectionLimit = 256
  package var timeouts = Timeouts()

  package init() {}
}
