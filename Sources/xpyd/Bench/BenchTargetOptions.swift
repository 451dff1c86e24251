import ArgumentParser
import Bench
import Foundation
import ModelFiles
import ModelStore
import Tokenization

/// Where `xpyd bench` sends its requests.
struct BenchTargetOptions: ParsableArguments {
  enum Backend: String, ExpressibleByArgument, CaseIterable {
    case vllm
    case openai
    case openaiChat = "openai-chat"

    var api: Target.API { self == .openaiChat ? .chat : .completions }
  }

  @Option(help: "The API: openai (completions), openai-chat; vllm is openai.")
  var backend = Backend.openai

  @Option(help: "The server's URL, if not http://HOST:PORT.")
  var baseURL: String?

  @Option var host = "127.0.0.1"
  @Option var port = 8000

  @Option(help: "Path of the API (default: /v1/completions, or /v1/chat/completions for openai-chat).")
  var endpoint: String?

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Sent with every request.", valueName: "key=value"))
  var header: [String] = []

  @Option(help: "The model's name (default: the first that the server names).")
  var model: String?

  @Option(help: "The model's name in requests, if it is not --model.")
  var servedModelName: String?

  @Option(
    help:
      "Model name or path (a .gguf file or a folder) whose tokenizer counts (default: --model's, if it is in the cache)."
  )
  var tokenizer: String?

  @Flag(help: "Do without a tokenizer: prompts are token ids, and the server counts.")
  var skipTokenizerInit = false

  @Flag(help: "Accept any certificate.")
  var insecure = false

  func validate() throws {
    guard (1...65_535).contains(port) else { throw ValidationError("--port must be from 1 to 65535, not \(port).") }
    if let baseURL, BaseURL(baseURL) == nil {
      throw ValidationError("--base-url must be http://HOST[:PORT][/PATH] or https://…, not \(baseURL).")
    }
    if let endpoint, !endpoint.hasPrefix("/") {
      throw ValidationError("--endpoint must begin with /, not \(endpoint).")
    }
    _ = try keyValues(header, flag: "--header")
  }

  /// Asks the server for its models if none is named.
  func target() async throws -> Target {
    let base = baseURL.flatMap { BaseURL($0) } ?? BaseURL(host: host, port: port)
    var target = Target(base: base, endpoint: endpoint, api: backend.api, model: "")
    if let key = ProcessInfo.processInfo.environment["OPENAI_API_KEY"], !key.isEmpty {
      target.headers.append(Target.Field(name: "authorization", value: "Bearer \(key)"))
    }
    target.headers += try keyValues(header, flag: "--header").map { Target.Field(name: $0.key, value: $0.value) }
    target.checksCertificate = !insecure
    if let name = servedModelName ?? model {
      target.model = name
    } else {
      target.model = try await servedModels(target)[0]
    }
    return target
  }

  /// - Returns: The tokenizer and the name it was found by; nil if there is none and none was asked for.
  func tokenizer(for target: Target) throws -> (name: String, tokenizer: Tokenizer)? {
    if skipTokenizerInit { return nil }
    let name = tokenizer ?? model ?? target.model
    let found = try? resolve(name)
    if found == nil, tokenizer == nil { return nil }
    // Once more for its error.
    let path = try found ?? resolve(name)
    return (name, try Tokenizer(file: openModel(path: path)))
  }
}

/// - Throws: `ValidationError` that names the flag if a word is no `KEY=VALUE`.
func keyValues(_ words: [String], flag: String) throws -> [(key: String, value: String)] {
  try words.map { word in
    guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
      throw ValidationError("\(flag) takes KEY=VALUE, not \(word).")
    }
    return (
      word[..<equals].trimmingCharacters(in: .whitespaces),
      word[word.index(after: equals)...].trimmingCharacters(in: .whitespaces)
    )
  }
}
