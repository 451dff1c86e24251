import NIOCore
import NIOHTTP1
import ServingAPI

/// One request from the moment it may go to its record. Belongs to the event loop; not Sendable.
final class Flight {
  /// What its client does that an ordinary one does not.
  struct Manners: Sendable, Equatable {
    /// Leaves after so many chunks; 0 is at once.
    var leavesAfterChunks: Int?
    var readsSlowly = false
  }

  private static let longestError = 300
  let request: WorkloadRequest
  let manners: Manners
  let keepsText: Bool
  let clock: RunClock
  private(set) var record: RequestRecord
  private var scanner = EventStreamScanner()
  private var usage = StreamChunk.Usage?.none
  private var fault: (outcome: RequestRecord.Outcome, error: String)?
  /// The first bytes of an answer, as long as it holds no chunk: what an error is told with.
  private var opening: [UInt8] = []
  private var textParts: [String] = []
  private(set) var heardAnything = false

  init(_ request: WorkloadRequest, record: RequestRecord, manners: Manners, keepsText: Bool, clock: RunClock) {
    self.request = request
    self.record = record
    self.manners = manners
    self.keepsText = keepsText
    self.clock = clock
    self.record.isSlowReader = manners.readsSlowly
    self.record.session = request.session
    self.record.chunkTimes.reserveCapacity(min(request.outputTokens ?? 64, 4096))
  }

  func wasHeld(until time: Double) { record.heldUntil = time }
  func started(at time: Double) { record.started = time }

  /// Whether the client has had all that it came for.
  var isTimeToLeave: Bool { manners.leavesAfterChunks.map { record.chunkTimes.count >= $0 } ?? false }

  func received(_ head: HTTPResponseHead) {
    heardAnything = true
    record.status = Int(head.status.code)
    if let id = head.headers.first(name: "x-request-id") { record.requestID = id }
    if head.status != .ok { fault = (.http, head.status.reasonPhrase) }
  }

  func received(_ bytes: ByteBuffer, at now: NIODeadline) {
    let time = clock.seconds(at: now)
    bytes.withUnsafeReadableBytes { piece in
      if record.chunkTimes.isEmpty, opening.count < Self.longestError {
        opening.append(contentsOf: piece.prefix(Self.longestError - opening.count))
      }
      guard record.status == 200 else { return }
      do throws(EventStreamScanner.TooLong) {
        try scanner.feed(piece) { part in
          switch part {
          case .data(let data): read(data, at: time)
          case .comment(let comment): record.timing = ServerTiming(comment: comment) ?? record.timing
          }
        }
      } catch {
        fault = fault ?? (.broken, "An event is longer than \(EventStreamScanner.longestEvent) bytes.")
      }
    }
  }

  private func read(_ data: UnsafeRawBufferPointer, at time: Double) {
    if data.elementsEqual("[DONE]".utf8) { return }
    guard let chunk = StreamChunk(data) else {
      fault = fault ?? (.broken, "An event holds no JSON object: \(Self.excerpt(data))")
      return
    }
    if let error = chunk.error {
      let value = UnsafeRawBufferPointer(rebasing: data[error])
      fault = fault ?? (.errorEvent, Self.message(inError: value) ?? Self.excerpt(value))
    }
    if let usage = chunk.usage { self.usage = usage }
    guard chunk.hasChoice else { return }
    if record.firstToken == nil { record.firstToken = time }
    record.chunkTimes.append(time)
    if keepsText, let text = chunk.text, text.count > 2 {
      textParts.append(decodeJSONString(UnsafeRawBufferPointer(rebasing: data[text])))
    }
  }

  // MARK: Its end

  /// The answer ended where it said it would.
  func ended(at now: NIODeadline) -> RequestRecord {
    if let fault, fault.outcome == .http {
      let words = opening.withUnsafeBytes { Self.message(inBody: $0) }
      self.fault = (.http, words ?? fault.error)
    } else if fault == nil, record.chunkTimes.isEmpty {
      let excerpt = opening.withUnsafeBytes(Self.excerpt)
      fault = (.broken, "The answer held no chunk with a choice, but: \(excerpt)")
    } else if fault == nil, !scanner.isBetweenEvents {
      fault = (.broken, "The answer ended in the middle of an event.")
    }
    return finish(at: now, fault?.outcome ?? .ok, fault?.error)
  }

  /// What was seen before weighs more than how it ended.
  func failed(_ outcome: RequestRecord.Outcome, _ error: String, at now: NIODeadline) -> RequestRecord {
    finish(at: now, fault?.outcome ?? outcome, fault?.error ?? error)
  }

  func left(at now: NIODeadline) -> RequestRecord { finish(at: now, .cancelled, nil) }

  private func finish(at now: NIODeadline, _ outcome: RequestRecord.Outcome, _ error: String?) -> RequestRecord {
    record.finished = clock.seconds(at: now)
    record.outcome = outcome
    record.error = error.map { String($0.prefix(Self.longestError)) }
    record.promptTokens = usage?.promptTokens ?? request.promptTokens
    if let tokens = usage?.completionTokens {
      record.outputTokens = tokens
      record.tokenSource = .usage
    } else if !record.chunkTimes.isEmpty {
      record.outputTokens = record.chunkTimes.count
      record.tokenSource = .chunks
    }
    if keepsText { record.text = textParts.joined() }
    return record
  }

  // MARK: Words of errors

  private static func excerpt(_ bytes: UnsafeRawBufferPointer) -> String {
    String(decoding: bytes.prefix(longestError), as: UTF8.self)
  }

  /// `{"error": {"message": …}}`, vLLM's `{"message": …}` or `{"detail": …}`; else the body itself.
  private static func message(inBody bytes: UnsafeRawBufferPointer) -> String? {
    guard !bytes.isEmpty else { return nil }
    guard let body = try? BodyParser.parse(Array(bytes)) else { return excerpt(bytes) }
    return (body["error"]?["message"] ?? body["message"] ?? body["detail"] ?? body["error"])?.stringValue
      ?? excerpt(bytes)
  }

  private static func message(inError bytes: UnsafeRawBufferPointer) -> String? {
    let error = try? BodyParser.parse(Array(bytes))
    return error?["message"]?.stringValue ?? error?.stringValue
  }
}

/// Tells times of a run as its records have them.
struct RunClock: Sendable {
  let start: NIODeadline

  /// To the microsecond.
  func seconds(at moment: NIODeadline) -> Double { Double((moment - start).nanoseconds / 1000) / 1e6 }

  func moment(at seconds: Double) -> NIODeadline { start + .nanoseconds(Int64(min(seconds, 1e9) * 1e9)) }
}
