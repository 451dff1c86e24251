import Engine
import Testing

/// Bad words and grammars: what may not come does not, whatever else a request says.
struct ConstraintTests {
  /// Allows the ids of a list, in order, and then the end.
  private struct Script: TokenConstraint {
    var ids: [Int32]
    var position = 0

    mutating func mask() -> TokenMask {
      var words = [UInt64](repeating: 0, count: 4)
      if position < ids.count { words[Int(ids[position]) >> 6] |= 1 << UInt64(ids[position] & 63) }
      return TokenMask(words: words, canEnd: position == ids.count)
    }

    mutating func advance(_ token: Int32) { position += position < ids.count && ids[position] == token ? 1 : 100 }
  }

  private func request(_ parameters: SamplingParameters, earlierOutput: [Int32] = []) -> GenerationRequest {
    GenerationRequest(
      id: "r", promptTokens: prompt(7) + earlierOutput, earlierOutput: earlierOutput.count, sampling: parameters,
      constraint: Script(ids: [5, 200, 5, 90]))
  }

  @Test(arguments: [greedy(9), seeded(9, seed: 3)])
  func `An output follows its grammar to the grammar's end`(parameters: SamplingParameters) async throws {
    let test = try TestEngine { $0.eosTokenIDs = [2] }
    for ignoresEOS in [false, true] {
      var parameters = parameters
      parameters.ignoreEOS = ignoresEOS
      parameters.minTokens = 8
      parameters.logitBias = [2: 100, 7: 100]
      let output = try await test.run(request(parameters))
      #expect(output.ids == [5, 200, 5, 90, 2])
      #expect(output.result.reason == .stop(token: nil))
    }
  }

  @Test func `An output that began elsewhere goes on where its grammar was`() async throws {
    let test = try TestEngine { $0.eosTokenIDs = [2] }
    #expect(try await test.run(request(greedy(9), earlierOutput: [5, 200])).ids == [5, 90, 2])
  }

  @Test func `A token that the grammar does not allow ends the output`() async throws {
    let test = try TestEngine { $0.eosTokenIDs = [2] }
    #expect(try await test.run(request(greedy(9), earlierOutput: [6])).ids == [2])
  }

  @Test func `A bad word's last token does not come after the others`() async throws {
    let test = try TestEngine()
    let free = try await test.run(GenerationRequest(id: "a", promptTokens: prompt(7), sampling: greedy(12))).ids
    var parameters = greedy(12)
    parameters.badWords = [[free[0]]]
    let first = try await test.run(GenerationRequest(id: "b", promptTokens: prompt(7), sampling: parameters)).ids
    #expect(!first.contains(free[0]))
    parameters.badWords = [Array(free[3...5]), [free[9], free[8]]]
    let second = try await test.run(GenerationRequest(id: "c", promptTokens: prompt(7), sampling: parameters)).ids
    #expect(second[..<5] == free[..<5] && second[5] != free[5])
    // The words before it may stand in what another worker made.
    let moved = GenerationRequest(
      id: "d", promptTokens: prompt(7) + free[..<5], earlierOutput: 5, sampling: parameters)
    #expect(try await test.run(moved).ids[0] == second[5])
  }
}
