import CLinux
import Glibc

/// Frames over one socket, in the order and version that both sides agreed on.
///
/// Every frame of a direction has the next sequence number; anything else that a peer sends is a
/// `protocolViolation`, after which the channel is of no use.
package final class FrameChannel: @unchecked Sendable {
  // SAFETY: owned by one thread at a time: a serving thread for its life, or the pull that took it from the pool,
  // whose lock orders one owner's writes before the next one's reads.
  package static let versions: ClosedRange<UInt16> = 1...1

  package let socket: Socket
  /// nil in the handshake: any version of a header is read.
  package var version: UInt16?
  private var sent: UInt64 = 0
  private var received: UInt64 = 0

  package init(_ socket: Socket) { self.socket = socket }

  /// - Parameter payload: Bytes that follow the frame.
  package func send(
    _ frame: Frame, payload: [UnsafeRawBufferPointer] = [], _ patience: Patience
  ) throws(KVTransferError) {
    try socket.send(encode(frame), payload: payload, patience, for: "room for a frame")
  }

  package func send(_ frame: Frame, descriptor: Int32, _ patience: Patience) throws(KVTransferError) {
    try socket.send(encode(frame), descriptor: descriptor, patience, for: "room for a frame")
  }

  /// The next frame; optional ones of unknown type are skipped.
  package func receive(_ patience: Patience, for what: String) throws(KVTransferError) -> Frame {
    while true {
      let header = try socket.receive(Frame.headerBytes, patience, for: what)
      if let frame = try receiveBody(header, patience, what) { return frame }
    }
  }

  /// The next frame and the descriptor that came with its header; the caller owns it.
  package func receiveWithDescriptor(
    _ patience: Patience, for what: String
  ) throws(KVTransferError) -> (frame: Frame, descriptor: Int32?) {
    let (header, descriptor) = try socket.receiveWithDescriptor(Frame.headerBytes, patience, for: what)
    do throws(KVTransferError) {
      if let frame = try receiveBody(header, patience, what) { return (frame, descriptor) }
      throw violation("an optional frame in the handshake")
    } catch {
      if let descriptor { Glibc.close(descriptor) }
      throw error
    }
  }

  package func violation(_ what: String) -> KVTransferError { .protocolViolation(peer: socket.peer, what) }

  /// Runs a decoder over untrusted bytes.
  package func decode<Value>(_ body: () throws(WireError) -> Value) throws(KVTransferError) -> Value {
    do throws(WireError) { return try body() } catch { throw violation(error.text) }
  }

  private func encode(_ frame: Frame) -> [UInt8] {
    defer { sent += 1 }
    return frame.encoded(version: version ?? Self.versions.lowerBound, sequence: sent)
  }

  private func receiveBody(
    _ headerBytes: [UInt8], _ patience: Patience, _ what: String
  ) throws(KVTransferError) -> Frame? {
    let header = try decode { () throws(WireError) in try FrameHeader(headerBytes) }
    let body = try socket.receive(header.bodyBytes, patience, for: what)
    guard header.checksum == Frame.checksum(header: Array(headerBytes.dropLast(4)), body: body) else {
      throw violation("a frame with a wrong checksum")
    }
    guard header.sequence == received else { throw violation("frame \(header.sequence) in place of \(received)") }
    received += 1
    if let version, header.version != version { throw violation("a frame of version \(header.version)") }
    guard let kind = Frame.Kind(rawValue: header.kind) else {
      if header.flags & Frame.optionalFlag != 0 { return nil }
      throw violation("a frame of unknown type \(header.kind)")
    }
    return Frame(kind, request: header.request, generation: header.generation, body: body)
  }
}
