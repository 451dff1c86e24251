import Foundation
import Testing

import ServingAPI

/// vLLM's answers to bad requests, from the recordings that the worker's tests keep.
struct RecordedErrorTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../WorkerTests/Fixtures/single")

  private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: Self.folder.appending(path: name)))
  }

  /// What a worker with model `smollm2` and a context of 4,096 tokens finds before it tokenizes.
  private func check(_ name: String, contentType: String = "application/json") throws(APIError) {
    let fields = try RequestBody.parse((try? bytes("\(name).request.json")) ?? [], contentType: contentType)
    let request: (options: RequestOptions, sampling: SamplingFields)
    if name.hasSuffix("messages") || name.contains("chat") {
      let chat = try ChatCompletionRequest(fields)
      request = (chat.options, chat.sampling)
    } else {
      let completion = try CompletionRequest(fields)
      request = (completion.options, completion.sampling)
    }
    if let model = request.options.model, model != "smollm2" { throw .unknownModel(model, served: ["smollm2"]) }
    try request.sampling.validate(contextLength: 4096, vocabularySize: 49_152)
  }

  @Test(arguments: [
    "err_bad_json", "err_empty_body", "err_not_object", "err_unknown_model", "err_unknown_model_stream",
    "err_max_tokens_too_large", "err_wrong_type_max_tokens", "err_negative_max_tokens", "err_zero_max_tokens",
    "err_temperature", "err_top_p", "err_missing_prompt", "err_missing_messages", "err_empty_prompt",
    "err_stream_options_without_stream", "err_logprobs_too_many",
  ])
  func `A bad request is answered with vLLM's bytes`(name: String) throws {
    let error = try #require(throws: APIError.self) { try check(name) }
    let recorded = try bytes("\(name).response.json")
    #expect(String(decoding: error.body.encoded, as: UTF8.self) == String(decoding: recorded, as: UTF8.self))
  }

  @Test func `A body of another media type is refused with vLLM's bytes`() throws {
    let error = try #require(throws: APIError.self) { try check("err_content_type", contentType: "text/plain") }
    #expect(error.body.encoded == (try bytes("err_content_type.response.json")))
    #expect(error.status == 400)
  }

  @Test func `A prompt that is too long is refused with vLLM's bytes and both numbers`() throws {
    let error = APIError.tooLong(promptTokens: 4097, outputTokens: nil, contextLength: 4096)
    #expect(error.body.encoded == (try bytes("err_too_long.response.json")))
  }

  @Test(arguments: ["err_unknown_field", "err_chat_bad_role"])
  func `What vLLM ignores is ignored`(name: String) throws { try check(name) }
}
