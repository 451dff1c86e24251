import CLinux
import Glibc
import KVBlocks
import KVTransfer
import Logging

/// The prefiller of a measurement between two hosts: publishes what the other end asks for, line by line.
///
/// `publish STREAMS BLOCKS LAYERS` is answered with a ticket for each stream, `ID ENGINE HOST PORT TOKENS`. The tickets
/// are pulled as all are, behind the handshake with its secret; the lines themselves give nothing away.
/// `prefill TOKENS RATE EARLY` is answered with one such ticket, before or after a `SteadyPrefill`, and with when that ended.
package final class TransferListener {
  package let host: String
  package let port: Int
  private let listener: Int32
  private let configuration: TransferConfiguration
  private let logger: Logger
  private var publisher: TransferPublisher?
  private var published: (layout: KVLayout, blocks: Int)?

  /// - Parameter configuration: `listenHost` and `port` are where the lines are read; tickets are pulled from another port
  ///   of the same address.
  package init(_ configuration: TransferConfiguration, logger: Logger) throws(KVTransferError) {
    (self.configuration, self.logger) = (configuration, logger)
    let (host, port) = (configuration.listenHost, configuration.port)
    switch SocketAddress.resolve(host, port: port) {
    case .success(let address): listener = Socket.listen(on: address)
    case .failure(let error): throw .cannotListen(host: host, port: port, reason: "\(error)")
    }
    guard listener >= 0 else {
      throw .cannotListen(host: host, port: port, reason: String(cString: strerror(errno)))
    }
    (self.host, self.port) = SocketAddress.bound(listener)
  }

  deinit { close(listener) }

  /// Serves one decoder after the other, for ever; blocks its thread.
  package func run() -> Never {
    var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    while true {
      poll(&poller, 1, -1)
      let descriptor = xs_accept(listener)
      guard descriptor >= 0 else { continue }
      let socket = Socket(adopting: descriptor, peer: "the other end")
      do { try serve(socket) } catch { logger.info("measurement ended", metadata: ["reason": "\(error)"]) }
      socket.close()
      publisher?.transport.close()
      (publisher, published) = (nil, nil)
    }
  }

  private func serve(_ socket: Socket) throws {
    while true {
      socket.waitForBytes()
      let words = try socket.readLine().split(separator: " ")
      let numbers = words.dropFirst().compactMap { Int($0) }
      if words.first == "prefill", numbers.count == 3, numbers.allSatisfy({ (0...100_000_000).contains($0) }) {
        try compute(
          SteadyPrefill(tokens: min(max(1, numbers[0]), 32_768), tokensPerSecond: max(1, numbers[1])),
          early: numbers[2] == 1, socket)
        continue
      }
      guard words.first == "publish", numbers.count == 3, numbers.allSatisfy({ (1...100_000).contains($0) }) else {
        throw KVTransferError.protocolViolation(peer: socket.peer, "a line that is no request")
      }
      let (streams, blocks) = (numbers[0], numbers[1])
      let publisher = try publisher(KVLayout(layers: numbers[2], kvHeads: 1, headDim: 64), blocks: streams * blocks)
      for stream in 0..<streams {
        try send(try publisher.publish(first: stream * blocks, count: blocks), socket)
      }
    }
  }

  private func compute(_ prefill: SteadyPrefill, early: Bool, _ socket: Socket) throws {
    let publisher = try publisher(SteadyPrefill.layout, blocks: prefill.blocks)
    let publication = try publisher.open(first: 0, count: prefill.blocks, tokens: prefill.tokens)
    defer { publication.complete() }
    if early { try send(publication.handoff, socket) }
    let computed = prefill.run(publication)
    if !early { try send(publication.handoff, socket) }
    try socket.send(Array("\(computed)\n".utf8), .control, for: "room for a line")
  }

  private func send(_ ticket: KVHandoff, _ socket: Socket) throws {
    let line = "\(ticket.id) \(ticket.engineID) \(ticket.host) \(ticket.port) \(ticket.tokens)\n"
    try socket.send(Array(line.utf8), .control, for: "room for a ticket")
  }

  /// The last one's, if it has the same shape.
  private func publisher(_ layout: KVLayout, blocks: Int) throws -> TransferPublisher {
    guard blocks <= Self.mostBytes / layout.bytesPerBlock else {
      throw KVTransferError.handoffTooLarge(blocks: blocks, limit: Self.mostBytes / layout.bytesPerBlock)
    }
    if let publisher, let published, published == (layout, blocks) { return publisher }
    publisher?.transport.close()
    publisher = nil
    var settings = configuration
    settings.port = 0
    let fresh = try TransferPublisher(layout: layout, blocks: blocks, configuration: settings, logger: logger)
    (publisher, published) = (fresh, (layout, blocks))
    return fresh
  }

  private static let mostBytes = 1 << 30
}

/// A `TransferListener` elsewhere.
package struct RemoteSource: HandoffSource {
  private let socket: Socket

  package init(host: String, port: Int) throws(KVTransferError) {
    socket = try Socket.dial(host: host, port: port, within: .seconds(5), attach: { _ in })
  }

  package func publish(_ test: TransferCase) throws -> [KVHandoff] {
    let line = "publish \(test.streams) \(test.blocksPerStream) \(test.layout.layers)\n"
    try socket.send(Array(line.utf8), .control, for: "room for a request")
    return try (0..<test.streams).map { _ in try readTicket() }
  }

  private func readTicket() throws -> KVHandoff {
    let words = try socket.readLine().split(separator: " ").map(String.init)
    guard words.count == 5, let port = Int(words[3]), let tokens = Int(words[4]) else {
      throw KVTransferError.protocolViolation(peer: socket.peer, "a line that is no ticket")
    }
    return KVHandoff(
      id: KVHandoff.ID(words[0]), engineID: words[1], host: words[2], port: port, blocks: [], tokens: tokens)
  }
}

extension RemoteSource: PrefillSource {
  package func compute(
    _ prefill: SteadyPrefill, early: Bool, _ use: @Sendable @escaping (KVHandoff) async throws -> Void
  ) async throws -> Double {
    let line = "prefill \(prefill.tokens) \(prefill.tokensPerSecond) \(early ? 1 : 0)\n"
    try socket.send(Array(line.utf8), .control, for: "room for a request")
    var ticket = try readTicket()
    ticket.isEarly = early
    try await use(ticket)
    guard let computed = Double(try socket.readLine()) else {
      throw KVTransferError.protocolViolation(peer: socket.peer, "a line that is no time")
    }
    return computed
  }
}

extension Patience {
  /// For a line of the measurement's own; a publisher of 1 GiB takes a while to be made.
  fileprivate static var control: Patience { Patience(stall: .seconds(60), whole: .seconds(120)) }
}

extension Socket {
  fileprivate func readLine() throws(KVTransferError) -> String {
    var line: [UInt8] = []
    while true {
      let byte = try receive(1, .control, for: "a line")[0]
      if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
      guard line.count < 512 else { throw .protocolViolation(peer: peer, "a line without an end") }
    }
  }
}
