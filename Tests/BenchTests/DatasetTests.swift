import Bench
import ModelFiles
import ServingAPI
import TestSupport
import Testing
import Tokenization

struct DatasetTests {
  @Test func `Random prompts are as long as was asked, to the token`() throws {
    let tokenizer = try Self.referenceTokenizer()
    var dataset = RandomDataset()
    dataset.inputTokens = 300
    dataset.prefixTokens = 20
    dataset.inputRangeRatio = 0.5
    dataset.outputTokens = 8
    dataset.outputRangeRatio = 0.5
    var dice = SeededDice(seed: 3)
    let workload = try dataset.workload(requests: 20, PromptMaker(tokenizer: tokenizer), using: &dice)
    #expect(workload.promptCounts == .exact)
    let prompts = workload.requests.map(Self.text)
    for (request, prompt) in zip(workload.requests, prompts) {
      let length = tokenizer.encode(prompt, addSpecial: true, parseSpecial: false).count
      #expect(request.promptTokens == length && (170...470).contains(length))
      #expect((4...12).contains(request.outputTokens!))
    }
    #expect(Set(prompts.map { tokenizer.encode($0, addSpecial: false, parseSpecial: false).prefix(20) }).count == 1)
    #expect(Set(prompts.map { tokenizer.encode($0, addSpecial: false, parseSpecial: false).prefix(24) }).count == 20)
    #expect(Set(workload.requests.map(\.promptTokens)).count > 5)
  }

  @Test func `A tiny vocabulary without words still gives prompts`() throws {
    let file = TinyModel().write()
    let tokenizer = try Tokenizer(metadata: GGUFFile(path: file.path).metadata)
    var dataset = RandomDataset()
    dataset.inputTokens = 40
    var dice = SeededDice(seed: 1)
    let workload = try dataset.workload(requests: 5, PromptMaker(tokenizer: tokenizer), using: &dice)
    for request in workload.requests {
      let length = tokenizer.encode(Self.text(request), addSpecial: true, parseSpecial: false).count
      #expect(request.promptTokens == length && length == 40)
    }
  }

  @Test func `Without a tokenizer prompts are token ids, or words where chat takes no ids`() throws {
    var dataset = RandomDataset()
    dataset.inputTokens = 7
    var dice = SeededDice(seed: 1)
    let ids = try dataset.workload(requests: 1, .tokenIDs, using: &dice).requests[0]
    #expect(ids.kind == .tokenIDs && ids.promptTokens == 7)
    #expect(try BodyParser.parse(ids.promptJSON).arrayValue?.count == 7)
    let words = try dataset.workload(requests: 1, .words, using: &dice).requests[0]
    #expect(words.kind == .text && words.promptTokens == nil)
    #expect(Self.text(words).split(separator: " ").count == 7)
  }

  @Test func `The same seed gives the same prompts`() throws {
    func prompts(_ seed: UInt64) throws -> [WorkloadRequest] {
      var dice = SeededDice(seed: seed)
      return try RandomDataset().workload(requests: 3, .tokenIDs, using: &dice).requests
    }
    #expect(try prompts(1) == prompts(1))
    #expect(try prompts(1) != prompts(2))
  }

  @Test func `Prefix repetition shares each prefix among as many prompts`() throws {
    var dataset = PrefixRepetitionDataset()
    dataset.prefixes = 3
    dataset.prefixTokens = 8
    dataset.suffixTokens = 4
    var dice = SeededDice(seed: 1)
    let workload = try dataset.workload(requests: 10, shuffled: true, .tokenIDs, using: &dice)
    let prefixes = try workload.requests.map {
      try BodyParser.parse($0.promptJSON).arrayValue!.prefix(8).map { $0.intValue! }
    }
    #expect(workload.requests.count == 9 && workload.requests.allSatisfy { $0.promptTokens == 12 })
    #expect(Dictionary(grouping: prefixes) { $0 }.values.map(\.count) == [3, 3, 3])
    #expect(throws: BenchError.self) { try dataset.workload(requests: 2, shuffled: false, .tokenIDs, using: &dice) }
  }

  @Test func `ShareGPT takes first turns, and leaves out what vLLM leaves out`() throws {
    let file = """
      [{"conversations":[{"from":"human","value":"one two three four five six"},{"value":"an answer of several words"}]},
       {"conversations":[{"value":"alone and without an answer"}]}, {"other":1},
       {"conversations":[{"value":"a"},{"value":"too short a prompt for it"}]}]
      """
    var dice = SeededDice(seed: 1)
    var sampling = FileSampling(requests: 3)
    sampling.shuffled = false
    sampling.tokenizer = try Self.referenceTokenizer()
    let workload = try ShareGPTDataset.workload(Array(file.utf8), sampling, using: &dice)
    #expect(workload.requests.map(Self.text) == Array(repeating: "one two three four five six", count: 3))
    #expect(workload.requests[0].promptTokens == 6 && workload.requests[0].outputTokens == 5)
    sampling.oversamples = false
    sampling.outputTokens = 2
    #expect(try ShareGPTDataset.workload(Array(file.utf8), sampling, using: &dice).requests.map(\.outputTokens) == [2])
    #expect(throws: BenchError.self) { try ShareGPTDataset.workload(Array("{}".utf8), sampling, using: &dice) }
  }

  @Test func `Custom lines keep their order, lengths and sessions`() throws {
    let file = """
      {"prompt":"a","output_tokens":3,"session":"s"}
      {"messages":[{"role":"user","content":"b"}]}
      """
    var dice = SeededDice(seed: 1)
    var sampling = FileSampling(requests: 2)
    sampling.shuffled = false
    sampling.outputTokens = 9
    let own = try CustomDataset.workload(
      Array(file.utf8), sampling, overridesLength: false, render: { "<\($0)>" }, using: &dice
    ).requests
    #expect(own.map(\.kind) == [.text, .messages] && Self.text(own[0]) == "<a>")
    #expect(own.map(\.outputTokens) == [3, 9] && own[0].session == "s")
    let given = try CustomDataset.workload(
      Array(file.utf8), sampling, overridesLength: true, render: { $0 }, using: &dice)
    #expect(given.requests.map(\.outputTokens) == [9, 9])
    #expect(throws: BenchError.badWorkload("Line 1 of the dataset has neither a text prompt nor messages.")) {
      try CustomDataset.workload(Array("{}".utf8), sampling, overridesLength: true, render: { $0 }, using: &dice)
    }
  }

  // MARK: Traces

  @Test func `Mooncake's blocks become prefixes that are really shared`() throws {
    let rows = try TraceRow.rows(Fixture.bytes("mooncake.jsonl"), labels: TraceLabels())
    #expect(rows.map(\.inputTokens) == [6758, 7322, 7236, 2290] && rows.map(\.outputTokens) == [500, 490, 794, 316])
    let tokenizer = try Self.referenceTokenizer()
    var dice = SeededDice(seed: 1)
    let workload = try TraceDataset(name: "t", rows: rows).workload(
      PromptMaker(tokenizer: tokenizer), seed: 5, using: &dice)
    let prompts = workload.requests.map { tokenizer.encode(Self.text($0), addSpecial: true, parseSpecial: false) }
    #expect(prompts.map(\.count) == rows.map(\.inputTokens))
    // They share their first block of 512 tokens, and no more.
    #expect(Set(prompts.map { $0.prefix(512) }).count == 1)
    #expect(Set(prompts.map { $0.prefix(516) }).count == 4)
  }

  @Test func `Azure's and BurstGPT's tables are read, with their times`() throws {
    let azure = try TraceRow.rows(Fixture.bytes("azure.csv"), labels: TraceLabels())
    #expect(azure.map(\.inputTokens) == [4808, 3180, 110, 7433])
    #expect(abs(azure[1].time - azure[0].time - 0.052) < 1e-6)
    let burst = """
      Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\r
      5,ChatGPT,472,18,490,Conversation log\r
      45,GPT-4,1087,0,1087,Conversation log\r
      118,GPT-4,417,276,693,API log\r
      """
    let rows = try TraceRow.rows(Array(burst.utf8), labels: TraceLabels())
    #expect(
      rows == [
        TraceRow(time: 5, inputTokens: 472, outputTokens: 18), TraceRow(time: 118, inputTokens: 417, outputTokens: 276),
      ])
  }

  @Test(arguments: ["", "a,b\n1,2\n", "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,2\n", "{\"timestamp\":1}\n", "{\n"])
  func `A trace that cannot be read is refused`(text: String) {
    #expect(throws: BenchError.self) { try TraceRow.rows(Array(text.utf8), labels: TraceLabels()) }
  }

  @Test func `Times count from the first request, in order of time`() throws {
    let rows = [TraceRow(time: 9, inputTokens: 1, outputTokens: 1), TraceRow(time: 4, inputTokens: 2, outputTokens: 1)]
    var dice = SeededDice(seed: 1)
    let workload = try TraceDataset(name: "t", rows: rows).workload(.tokenIDs, seed: 1, using: &dice)
    #expect(workload.requests.map(\.recordedTime) == [0, 5] && workload.requests.map(\.promptTokens) == [2, 1])
    #expect(TraceDataset(name: "t", rows: rows).sampled(5, using: &dice).rows.count == 5)
  }

  private static func referenceTokenizer() throws -> Tokenizer {
    try Tokenizer(metadata: GGUFFile(path: referenceModelPath()).metadata)
  }

  private static func text(_ request: WorkloadRequest) -> String {
    (try? BodyParser.parse(request.promptJSON).stringValue) ?? ""
  }
}
