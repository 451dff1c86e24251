import Foundation
import ServingAPI
import TestSupport
import Testing
import Worker

/// A Hugging Face folder, served: the tiny Llama of Tests/ModelsTests, with what its authors would put beside it.
struct FolderTests {
  private static func folder(_ more: [String: String]) throws -> TemporaryFolder {
    let tiny = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "ModelsTests/Fixtures/tiny/llama")
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: tiny.path) where !name.hasSuffix(".gguf") {
      files[name] = Array(try Data(contentsOf: tiny.appending(path: name)))
    }
    return try TemporaryFolder(files.merging(more.mapValues { Array($0.utf8) }) { $1 })
  }

  @Test func `What a request does not say of sampling, generation_config.json says`() async throws {
    let folder = try Self.folder(["generation_config.json": #"{"temperature": 5, "top_k": 1, "max_new_tokens": 7}"#])
    func answers(_ requests: [BodyValue.Fields], _ reads: Bool = true) async throws -> [Answer] {
      try await withWorker(configure: {
        ($0.modelPath, $0.readsGenerationConfig) = (folder.path, reads)
      }) { worker in
        var answers: [Answer] = []
        for fields in requests {
          var fields = fields
          fields["prompt"] = "one two three"
          fields["ignore_eos"] = true
          fields["max_tokens"] = 20
          answers.append(try await worker.complete(.object(fields)))
        }
        return answers
      }
    }
    var (greedy, wide) = (BodyValue.Fields(), BodyValue.Fields())
    greedy["temperature"] = 0
    wide["top_k"] = 0
    wide["seed"] = 1
    let given = try await answers([BodyValue.Fields(), greedy, wide])
    #expect(given.map(\.status) == [200, 200, 200])
    #expect(given[0].json["usage"]?["completion_tokens"] == 7)
    #expect(given[0].output() == given[1].output() && given[0].output() != given[2].output())
    let own = try await answers([BodyValue.Fields()], false)
    #expect(own[0].json["usage"]?["completion_tokens"] == 20)
  }

  @Test(arguments: [#"{"temperature": -1}"#, #"{"top_p": 0}"#, #"{"top_k": "all"}"#, #"{"max_new_tokens": 0}"#, "{"])
  func `A generation_config.json that no request could follow stops the start`(text: String) async throws {
    let folder = try Self.folder(["generation_config.json": text])
    let error = await #expect(throws: WorkerError.self) {
      try await withWorker(configure: { $0.modelPath = folder.path }) { _ in }
    }
    #expect(error.map { "\($0)" }?.contains("generation_config.json") == true)
  }

  private static let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
  private static let settings = #"{"eos_token": {"content": "<|im_end|>"}, "chat_template": "#

  @Test(arguments: [
    ["chat_template.jinja": template, "tokenizer_config.json": #"\#(settings)null}"#],
    ["tokenizer_config.json": #"\#(settings)"\#(template)"}"#],
    [
      "tokenizer_config.json":
        #"\#(settings)[{"name": "rag", "template": "x"}, {"name": "default", "template": "\#(template)"}]}"#
    ],
  ])
  func `A folder's chat template makes the prompt`(files: [String: String]) async throws {
    let folder = try Self.folder(files)
    try await withWorker(configure: { $0.modelPath = folder.path }) { worker in
      let chat = try await worker.post("/tokenize", ["messages": [["role": "user", "content": "hi"]]])
      let text = try await worker.post("/tokenize", ["prompt": "user: hi<|im_end|>"])
      #expect(chat.status == 200 && chat.json["tokens"] == text.json["tokens"])
      let answer = try await worker.post(
        "/v1/chat/completions", ["messages": [["role": "user", "content": "hi"]], "max_tokens": 3, "temperature": 0])
      #expect(answer.status == 200 && answer.json["usage"]?["prompt_tokens"] == chat.json["count"])
    }
  }

  @Test(arguments: [
    (#"{{- '<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}"#, ToolCallFormat.hermes),
    (#"{{- "[TOOL_CALLS][" }}"#, .mistral),
    (#"{{- 'Respond as {"name": function name, "parameters": dictionary of its arguments}.' }}"#, .llama3JSON),
    (#"{{- '<tool_call>\n<function=' + call.name + '>' }}"#, nil), ("{{ messages[0].content }}", nil),
  ])
  func `A chat template tells how calls of tools are written`(template: String, format: ToolCallFormat?) {
    #expect(ToolCallFormat(template: template) == format)
  }

  @Test func `Calls are found as the folder's template writes them, and without one there is no start`() async throws {
    let call = #"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#
    let folder = try Self.folder(["chat_template.jinja": "{% if false %}\(call){% endif %}" + Self.template])
    try await withWorker(configure: { ($0.modelPath, $0.toolCallParser) = (folder.path, .ofTemplate) }) { worker in
      let answer = try await worker.post(
        "/v1/chat/completions",
        [
          "messages": [["role": "user", "content": "hi"]], "max_tokens": 100, "temperature": 0,
          "tools": [["type": "function", "function": ["name": "f", "parameters": ["type": "object"]]]],
          "structured_outputs": ["choice": [.string(call)]],
        ])
      let choice = answer.json["choices"]?.arrayValue?.first
      #expect(choice?["finish_reason"] == "tool_calls")
      #expect(choice?["message"]?["tool_calls"]?.arrayValue?.first?["function"]?["name"] == "f")
    }
    let silent = try Self.folder(["chat_template.jinja": Self.template])
    await #expect(throws: WorkerError.noToolCallFormat) {
      try await withWorker(configure: { ($0.modelPath, $0.toolCallParser) = (silent.path, .ofTemplate) }) { _ in }
    }
  }
}
