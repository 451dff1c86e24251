import Foundation
import ServingAPI
import Testing

/// Every field that vLLM's two generation endpoints know is read here, or refused by name: none is passed over in silence.
/// The list is `Fixtures/vllm_fields.md`, taken from the PyPI wheel of vLLM 0.33.0.
struct FieldCoverageTests {
  private enum Endpoint: String, CaseIterable {
    case completions = "CompletionRequest"
    case chat = "ChatCompletionRequest"

    func read(_ fields: BodyValue.Fields) throws {
      switch self {
      case .completions: _ = try CompletionRequest(fields)
      case .chat: _ = try ChatCompletionRequest(fields)
      }
    }

    var smallest: BodyValue.Fields {
      var fields = BodyValue.Fields()
      switch self {
      case .completions: fields["prompt"] = "a"
      case .chat: fields["messages"] = [["role": "user", "content": "a"]]
      }
      return fields
    }
  }

  /// What the answer cannot depend on here: who asks, and reasoning, which no parser of ours sets apart.
  private static let unused: Set<String> = ["user", "session_id", "include_reasoning"]
  /// Read only beside another.
  private static let beside: [String: (String, BodyValue)] = ["truncation_side": ("truncate_prompt_tokens", 1)]
  /// Not served with these values, which ask for something.
  private static let refused: [String: BodyValue] = [
    "suffix": "x", "use_beam_search": true, "watermarking": true, "length_penalty": 2,
    "spaces_between_special_tokens": false, "logprob_token_ids": [1], "prompt_embeds": "AAAA", "priority": 1,
    "return_weight_versions": true, "routed_experts_prompt_start": 1, "return_token_offsets": true,
    "mm_payload": "none", "return_mm_kwargs": true, "ec_transfer_params": ["a": 1], "vllm_xargs": ["a": 1],
    "repetition_detection": ["a": 1], "thinking_token_budget": 5, "stream_interval": 2, "reasoning_effort": "low",
    "chat_template": "{{ messages }}", "media_io_kwargs": ["a": 1], "mm_processor_kwargs": ["a": 1],
    "return_prompt_text": true,
  ]

  /// The first cells of the table under the endpoint's heading.
  private static func fields(of endpoint: Endpoint) throws -> [String] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/vllm_fields.md")
    let sections = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "### ")
    let section = try #require(sections.first { $0.hasPrefix("`\(endpoint.rawValue)`") })
    return section.split(separator: "\n").compactMap { line in
      line.hasPrefix("| `") ? String(line.dropFirst(3).prefix { $0 != "`" }) : nil
    }
  }

  @Test(arguments: ["CompletionRequest", "ChatCompletionRequest"])
  func `A field that vLLM knows is read or refused by name`(name: String) throws {
    let endpoint = try #require(Endpoint(rawValue: name))
    let names = try Self.fields(of: endpoint)
    #expect(names.count > 50)
    for name in names where !Self.unused.contains(name) {
      var fields = endpoint.smallest
      if let (other, value) = Self.beside[name] { fields[other] = value }
      // No field has this type but documents, so that only who does not look takes it.
      fields[name] = Self.refused[name] ?? (name == "documents" ? 7 : [["wrong": true]])
      let error = #expect(throws: APIError.self, "\(name) is passed over") { try endpoint.read(fields) }
      #expect(error?.status == 400)
      #expect(error?.param?.split(separator: ".").contains(Substring(name)) == true, "\(name): \(error?.param ?? "")")
    }
  }

  @Test(arguments: ["CompletionRequest", "ChatCompletionRequest"])
  func `A field that is not served may come with the value that asks for nothing`(name: String) throws {
    let endpoint = try #require(Endpoint(rawValue: name))
    for name in try Self.fields(of: endpoint) where Self.refused[name] != nil || Self.unused.contains(name) {
      var fields = endpoint.smallest
      fields[name] = .null
      try endpoint.read(fields)
    }
    var fields = endpoint.smallest
    let nothing: [String: BodyValue] = [
      "suffix": "", "priority": 0, "length_penalty": .number(1), "stream_interval": 1, "mm_payload": "tensors",
      "spaces_between_special_tokens": true, "use_beam_search": false, "user": "somebody", "session_id": "s",
      "include_reasoning": true,
    ]
    for (name, value) in nothing { fields[name] = value }
    try endpoint.read(fields)
  }
}
