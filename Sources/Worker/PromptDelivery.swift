import Engine
import KVTransfer
import Logging
import ServingAPI

/// Push mode around one request: a sender asks for room before the prompt is computed and delivers its KV before the
/// answer ends; a receiver looks for the prompts in its buffer. Without push mode it does nothing.
///
/// A push that fails costs the decoder a prefill, not the client its answer; but a prompt that can never fit into the
/// receiver's buffer is refused before anything is computed.
struct PromptDelivery: Sendable {
  /// As given, with what the engine is to do with the prompts' KV.
  private(set) var plan: GenerationPlan
  private let plane: KVPlane?
  private let logger: Logger
  private var grant: Pusher.Grant?
  private var claims: [KVHandoff] = []

  /// - Throws: `APIError` for a prompt that can never be pushed, `CancellationError` if the client has left.
  init(of plan: GenerationPlan, over plane: KVPlane?, _ logger: Logger) async throws {
    self.plan = plan
    self.plane = plane
    self.logger = logger
    switch plane {
    case nil, .pull: break
    case .sender(_, let pusher, _): try await reserve(pusher)
    case .receiver(let receiver, _): claim(receiver)
    }
  }

  /// The prompt goes to the receiver, and no ticket to the router.
  var isPush: Bool {
    if case .sender = plane { true } else { false }
  }

  /// The first prompt's KV: the routers that push send one. Others are the decoder's to compute.
  private mutating func reserve(_ pusher: Pusher) async throws {
    let request = plan.choices[0].request
    do throws(KVTransferError) {
      switch try await pusher.reserve(
        PromptKey(request.promptTokens, salt: request.cacheSalt), tokens: request.promptTokens.count)
      {
      case .known: break
      case .granted(let grant):
        self.grant = grant
        plan.choices[0].request.handoff = .produce
      }
    } catch {
      switch error {
      case .bufferTooSmall: throw APIError.badRequest("\(error)", param: "input_tokens")
      case .cancelled: throw CancellationError()
      default: logger.warning("No room for the prompt's KV at the receiver", metadata: ["reason": "\(error)"])
      }
    }
  }

  private mutating func claim(_ receiver: PushReceiver) {
    for index in plan.choices.indices {
      let request = plan.choices[index].request
      // Scoring a prompt computes it.
      guard request.sampling.promptLogprobs == nil else { continue }
      guard let handoff = receiver.claim(PromptKey(request.promptTokens, salt: request.cacheSalt)) else { continue }
      plan.choices[index].request.handoff = .consume(handoff)
      claims.append(handoff)
    }
  }

  /// Returns when the receiver has the KV, or when it is clear that it will not get it.
  /// - Parameter handoff: what the engine published; nil: nothing.
  func deliver(_ handoff: KVHandoff?) async {
    guard case .sender(let transport, let pusher, _) = plane, let grant else { return }
    guard let handoff else { return pusher.giveUp(grant) }
    do throws(KVTransferError) {
      try await pusher.offer(handoff, to: grant)
    } catch {
      transport.withdraw(handoff.id)
      logger.warning("The prompt's KV was not pushed", metadata: ["reason": "\(error)"])
    }
  }

  /// The request has failed, or nobody waits for it. Harmless for what was delivered or pulled.
  func giveUp() {
    switch plane {
    case nil, .pull: break
    case .sender(_, let pusher, _): if let grant { pusher.giveUp(grant) }
    case .receiver(let receiver, _): for handoff in claims { receiver.abandon(handoff) }
    }
  }
}
