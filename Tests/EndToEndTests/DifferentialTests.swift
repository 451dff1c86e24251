import Foundation
import ServingAPI
import TestSupport
import Testing
import Worker

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Whatever a request asks for, its answer says nothing of how many workers made it.
@Suite(.serialized) struct DifferentialTests {
  /// One file for all tests.
  private static let model: TemporaryFile = {
    var model = TinyModel()
    model.contextLength = 1024
    return model.write()
  }()

  @Test(.timeLimit(.minutes(3)))
  func `Random requests have the same body from 2p1d and from a single worker`() async throws {
    var dice = SplitMix64(seed: 2026)
    let requests = (0..<500).map { number in
      switch number % 25 {
      case 0..<20: RandomRequest(using: &dice)
      case 20..<23: RandomRequest(ofBlocksUsing: &dice)
      default: RandomRequest(ofEmbeddingsUsing: &dice)
      }
    }
    let expected = try await Deployment.single(model: Self.model.path) { worker in
      try await Self.answers(to: requests, port: worker.port)
    }
    try await Deployment.run(prefillers: 2, decoders: 1, transports: .auto, model: Self.model.path) { deployment in
      let answers = try await Self.answers(to: requests, port: deployment.proxy.port)
      for (request, (ours, single)) in zip(requests, zip(answers, expected)) {
        let asked = String(decoding: request.body.encoded, as: UTF8.self)
        #expect(ours == single, "\(request.path) \(asked)")
      }
      #expect(deployment.decoders[0].statistics.pullSuccesses > 150)
      #expect(deployment.decoders[0].statistics.pullFailures == 0)
    }
    // The dice must not have made a heap of refusals anywhere, nor none.
    #expect(expected.allSatisfy { $0.status == 200 || $0.status == 400 })
    for path in Set(requests.map(\.path)) {
      let statuses = zip(requests, expected).filter { $0.0.path == path }.map(\.1.status)
      let served = statuses.count { $0 == 200 }
      #expect(served * 3 > statuses.count * 2 && served < statuses.count, "\(path): \(served) of \(statuses.count)")
    }
  }

  /// An answer without what is new each time: ids and times.
  private struct Answer: Sendable, Equatable {
    var status: Int
    var bodies: [BodyValue]
  }

  private static func answers(to requests: [RandomRequest], port: Int) async throws -> [Answer] {
    var answers: [Answer] = []
    for start in stride(from: 0, to: requests.count, by: 8) {
      let part = Array(requests[start..<min(start + 8, requests.count)])
      answers += try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
        for (index, request) in part.enumerated() {
          group.addTask { (index, try await answer(to: request, port: port)) }
        }
        var numbered: [(Int, Answer)] = []
        for try await one in group { numbered.append(one) }
        return numbered.sorted { $0.0 < $1.0 }.map(\.1)
      }
    }
    return answers
  }

  private static func answer(to asked: RandomRequest, port: Int) async throws -> Answer {
    var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)\(asked.path)")!)
    request.httpMethod = "POST"
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.httpBody = Data(asked.body.encoded)
    request.timeoutInterval = 120
    let (data, response) = try await URLSession.shared.data(for: request)
    let isStream = (response as? HTTPURLResponse)?.mimeType == "text/event-stream"
    let text = String(decoding: data, as: UTF8.self)
    let parts = isStream ? text.components(separatedBy: "\n\n").map(payload) : [text]
    var bodies = parts.map { (try? BodyParser.parse(Array($0.utf8))).map(lasting) ?? .string($0) }
    // Choices of one stream come in any order between them.
    if isStream { bodies.sort { $0.choice < $1.choice } }
    return Answer(status: (response as? HTTPURLResponse)?.statusCode ?? 0, bodies: bodies)
  }

  /// Of an event that may have a name.
  private static func payload(_ event: String) -> String {
    event.components(separatedBy: "data: ").dropFirst().joined(separator: "data: ")
  }

  private static func lasting(_ body: BodyValue) -> BodyValue {
    switch body {
    case .object(var fields):
      for key in ["id", "created", "created_at", "item_id", "call_id"] { fields[key] = nil }
      for member in fields.members { fields[member.key] = lasting(member.value) }
      return .object(fields)
    case .array(let elements): return .array(elements.map(lasting))
    default: return body
    }
  }
}

extension BodyValue {
  /// Where a stream's chunk belongs; what belongs to none comes last.
  fileprivate var choice: Int {
    guard case .integer(let index)? = self["choices"]?.arrayValue?.first?["index"] else { return .max }
    return Int(index)
  }
}
