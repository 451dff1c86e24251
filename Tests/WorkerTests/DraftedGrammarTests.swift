import Engine
import ServingAPI
import Testing
import Worker

/// A draft guesses without a look at the grammar; what it guesses wrong must leave the grammar where the output is.
struct DraftedGrammarTests {
  private static let bodies: [BodyValue] = [
    // The same over and over, so that drafts are right, and then something else, so that one is wrong.
    ["regex": "(abc){9}z(abc){3}y"],
    ["grammar": "root ::= \"[\" item* \"]\"\nitem ::= \"12,\" | \"13,\""],
    [
      "json": [
        "type": "array", "minItems": 6, "maxItems": 8,
        "items": ["type": "object", "properties": ["on": ["type": "boolean"]], "required": ["on"]],
      ]
    ],
  ].map { ["prompt": "abcabcabc", "max_tokens": 90, "structured_outputs": $0, "logprobs": 1] }

  private static func outputs(temperature: Double, _ worker: TestWorker) async throws -> [BodyValue?] {
    var outputs: [BodyValue?] = []
    for case .object(var fields) in bodies {
      (fields["temperature"], fields["seed"]) = (.number(temperature), 3)
      let answer = try await worker.complete(.object(fields))
      outputs.append(answer.json["choices"])
    }
    return outputs
  }

  @Test(arguments: [0, 0.8])
  func `An output of a form is the same with drafts as without`(temperature: Double) async throws {
    let expected = try await withWorker { try await Self.outputs(temperature: temperature, $0) }
    try await withWorker(configure: {
      $0.engine.speculation = NGramSpeculation(draftTokens: 4, lookup: 1...3)
    }) { worker in
      let drafted = try await Self.outputs(temperature: temperature, worker)
      #expect(drafted == expected && drafted.allSatisfy { $0 != nil })
      let statistics = worker.worker.statistics
      #expect(statistics.acceptedDraftTokens > 0 && statistics.acceptedDraftTokens < statistics.draftTokens)
      #expect(try await worker.poolIsFree())
    }
  }
}
