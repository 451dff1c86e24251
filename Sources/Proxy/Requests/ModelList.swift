import HTTPServer
import NIOCore
import ServingAPI

/// `/v1/models` over all workers: the models that any of them serves, each once, in the workers' order.
/// Belongs to its event loop.
final class ModelList {
  private var waitingFor: Int
  private var answers: [ByteBuffer?]
  private let writer: HTTPResponseWriter

  private init(workers: Int, writer: HTTPResponseWriter) {
    waitingFor = workers
    answers = Array(repeating: nil, count: workers)
    self.writer = writer
  }

  static func gather(for request: HTTPRequest, writer: HTTPResponseWriter, loop: ProxyLoop) {
    let workers = loop.context.decoders.workers + loop.context.prefillers.workers
    guard !workers.isEmpty else { return writer.send(.overloaded("There is no worker yet.", retryAfter: 1)) }
    let list = ModelList(workers: workers.count, writer: writer)
    let authorization = request.headers.first(name: "authorization")
    for (index, worker) in workers.enumerated() {
      SingleAnswer.get(
        "/v1/models", from: worker, over: loop, within: loop.context.configuration.healthCheck.timeout,
        authorization: authorization
      ) { list.answered(index, $0) }
    }
  }

  private func answered(_ index: Int, _ result: Result<(status: Int, body: ByteBuffer), LegFault>) {
    if case .success(let answer) = result, answer.status == 200 { answers[index] = answer.body }
    waitingFor -= 1
    guard waitingFor == 0 else { return }
    guard answers.contains(where: { $0 != nil }) else {
      return writer.send(.overloaded("No worker answers for its models.", retryAfter: 1))
    }
    let body = Self.merge(answers.compactMap { $0 })
    writer.send(.ok, headers: ["content-type": MediaTypes.json], body: body)
  }

  static func merge(_ lists: [ByteBuffer]) -> ByteBuffer {
    var seen: Set<String> = []
    var out = ByteBuffer(string: #"{"object":"list","data":["#)
    for list in lists {
      list.withUnsafeReadableBytes { bytes in
        for card in cards(bytes) {
          let text = UnsafeRawBufferPointer(rebasing: bytes[card])
          guard let object = try? JSONObject(scanning: text), let id = object.value(of: "id"),
            seen.insert(String(decoding: text[id], as: UTF8.self)).inserted
          else { continue }
          if seen.count > 1 { out.writeStaticString(",") }
          out.writeBytes(text)
        }
      }
    }
    out.writeStaticString("]}")
    return out
  }

  private static func cards(_ bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
    guard let data = try? JSONObject(scanning: bytes).value(of: "data"),
      let array = try? JSONArray(scanning: UnsafeRawBufferPointer(rebasing: bytes[data]))
    else { return [] }
    return array.elements.map { ($0.lowerBound + data.lowerBound)..<($0.upperBound + data.lowerBound) }
  }
}
