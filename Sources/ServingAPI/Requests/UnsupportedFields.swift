/// Fields that vLLM knows and we do not serve: silence would be a wrong answer, so any value that asks for something
/// is a 400 that names the field. Fields that nobody knows are ignored, as vLLM does.
enum UnsupportedFields {
  /// Asks for nothing: absent, null, false, 0, "", [] or {}.
  private static let common = [
    "use_beam_search", "watermarking", "logprob_token_ids", "priority",
    "return_weight_versions", "routed_experts_prompt_start", "return_token_offsets", "return_mm_kwargs",
    "ec_transfer_params", "vllm_xargs", "repetition_detection", "thinking_token_budget",
    "logits_processors",
  ]
  static let ofCompletions = common + ["suffix", "prompt_embeds"]
  static let ofChat =
    common + [
      "reasoning_effort", "media_io_kwargs", "mm_processor_kwargs", "return_prompt_text", "audio",
      "functions", "function_call", "web_search_options", "chat_template",
    ]

  static let ofEmbeddings = ["messages", "priority", "mm_processor_kwargs", "media_io_kwargs"]

  /// Fields whose default is not empty, with that default.
  private static let defaults: [(key: String, value: BodyValue)] = [
    ("length_penalty", 1), ("spaces_between_special_tokens", true), ("stream_interval", 1), ("best_of", 1),
    ("mm_payload", "tensors"), ("modalities", ["text"]),
  ]

  static func refuse(_ names: [String], in fields: BodyValue.Fields) throws(APIError) {
    for name in names {
      guard let value = fields[name], !isEmpty(value) else { continue }
      throw unsupported(name)
    }
    for (name, standard) in defaults {
      guard let value = fields[name], value != .null, value != standard else { continue }
      if case (.number(let number), .integer(let integer)) = (value, standard), number == Double(integer) { continue }
      throw unsupported(name)
    }
  }

  static func unsupported(_ name: String) -> APIError {
    .badValue("This server does not support `\(name)` with this value. Leave it out.", param: name)
  }

  private static func isEmpty(_ value: BodyValue) -> Bool {
    switch value {
    case .null, .bool(false), .integer(0), .string(""), .array([]): true
    case .number(let number): number == 0
    case .object(let fields): fields.members.isEmpty
    default: false
    }
  }
}
