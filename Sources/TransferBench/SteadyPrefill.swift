import Dispatch
import Glibc
import KVBlocks
import KVTransfer

/// A prompt that takes the time of a prefill and computes nothing: chunk by chunk, each layer by layer, at a steady rate.
package struct SteadyPrefill: Sendable, Equatable {
  package let tokens: Int
  package let tokensPerSecond: Int

  /// As a worker's steps.
  static let chunkTokens = 512
  /// SmolLM2-135M's.
  static let layout = KVLayout(layers: 30, kvHeads: 3, headDim: 64)

  package init(tokens: Int, tokensPerSecond: Int) {
    self.tokens = tokens
    self.tokensPerSecond = tokensPerSecond
  }

  var blocks: Int { Self.layout.blocks(forTokens: tokens) }
  package var bytes: Int { blocks * Self.layout.bytesPerBlock }

  /// Takes the prefill's time, and tells the publication of each layer when it is there. Blocks its thread.
  /// - Returns: When all was there, on the clock that all processes of a machine share.
  func run(_ publication: KVPublication?) -> Double {
    let start = Self.now
    for first in stride(from: 0, to: tokens, by: Self.chunkTokens) {
      let chunk = first..<min(first + Self.chunkTokens, tokens)
      for layer in 0..<Self.layout.layers {
        let done = Double(first) + Double(chunk.count * (layer + 1)) / Double(Self.layout.layers)
        Self.sleep(until: start + done / Double(tokensPerSecond))
        publication?.advance(layer: layer, tokens: chunk.upperBound)
      }
    }
    return Self.now
  }

  /// Seconds.
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func sleep(until end: Double) {
    let left = end - now
    if left > 0 { usleep(UInt32(left * 1e6)) }
  }
}

/// Where the prompts of a measurement are computed.
package protocol PrefillSource: Sendable {
  /// Begins a prefill, and gives its ticket to `use`: at once, or when the prompt is computed.
  /// - Returns: When it was computed, in seconds of `SteadyPrefill.now`.
  func compute(
    _ prefill: SteadyPrefill, early: Bool, _ use: @Sendable @escaping (KVHandoff) async throws -> Void
  ) async throws -> Double
}

/// In this process.
struct LocalPrefills: PrefillSource {
  let publisher: TransferPublisher
  /// Where its KV is pulled from.
  let port: Int

  func compute(
    _ prefill: SteadyPrefill, early: Bool, _ use: @Sendable @escaping (KVHandoff) async throws -> Void
  ) async throws -> Double {
    let publication = try publisher.open(first: 0, count: prefill.blocks, tokens: prefill.tokens)
    defer { publication.complete() }
    let ticket = ticket(publication, early: early)
    let pulled = early ? Task { try await use(ticket) } : nil
    let computed = await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: prefill.run(publication)) }
    }
    if let pulled { try await pulled.value } else { try await use(ticket) }
    return computed
  }

  private func ticket(_ publication: KVPublication, early: Bool) -> KVHandoff {
    var ticket = publication.handoff
    (ticket.port, ticket.isEarly) = (port, early)
    return ticket
  }
}
