import ArgumentParser
import Engine
import Foundation
import KVBlocks
import KVTransfer
import Kernels
import Logging
import ModelStore
import UnixSignals
import Worker

/// `xpyd serve MODEL`: one worker, in one role. Flags are vLLM's where vLLM has them.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a model on one port: prefill, decode or both.",
    discussion: """
      Without --kv-transfer-config the worker prefills and decodes by itself. With \
      '{"kv_connector":"NixlConnector","kv_role":"kv_producer"}' it prefills for others; with kv_consumer it decodes \
      on what they prefilled; with kv_both it does either, as the request's kv_transfer_params say.
      """)

  @Argument(help: "Model name or path of a .gguf file or a Hugging Face folder.")
  var model: String

  @Option(help: "Address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "Port to listen on; 0: any free one.")
  var port = 8000

  @Option(help: ArgumentHelp("vLLM's JSON: kv_connector, kv_role, kv_load_failure_policy.", valueName: "json"))
  var kvTransferConfig: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Names that clients may use for the model (default: MODEL as given).", valueName: "name"))
  var servedModelName: [String] = []

  @Option(
    help: ArgumentHelp(
      "vLLM's JSON: method ngram, num_speculative_tokens, prompt_lookup_max, prompt_lookup_min. Same tokens, fewer steps.",
      valueName: "json"))
  var speculativeConfig: String?

  @OptionGroup(title: "Engine") var engineOptions: EngineOptions
  @OptionGroup(title: "KV transfer") var transferOptions: TransferOptions
  @OptionGroup(title: "KV offloading") var offloadOptions: OffloadOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Key that clients must send (default: $XPYD_API_KEY or $VLLM_API_KEY).", valueName: "key"))
  var apiKey: [String] = []

  @Option(help: "How the model writes calls of tools: hermes, llama3_json, mistral; auto: as its template does.")
  var toolCallParser: ToolCallParser?

  @Flag(help: "Find such calls where a request leaves it to the model whether it calls (tool_choice auto).")
  var enableAutoToolChoice = false

  @Option(
    help: ArgumentHelp(
      "Whose sampling a request gets that says nothing of it: that of the folder's generation_config.json, or vLLM's own.",
      valueName: "auto|vllm"))
  var generationConfig = GenerationConfigSource.auto

  @Option(help: "trace, debug, info, notice, warning, error or critical.")
  var logLevel = Logger.Level.info

  @Flag(help: "No line in the log for each request.")
  var disableLogRequests = false

  @Option(help: ArgumentHelp("How long running requests may take to end on SIGTERM.", valueName: "seconds"))
  var grace = 8

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535, not \(port).") }
    guard grace >= 0 else { throw ValidationError("--grace must not be negative.") }
    guard enableAutoToolChoice == (toolCallParser != nil) else {
      throw ValidationError("Give --enable-auto-tool-choice and --tool-call-parser together.")
    }
  }

  func run() async throws {
    var logger = Logger(label: "xpyd.worker")
    logger.logLevel = logLevel
    let path = try ModelStore.resolve(model)
    let worker = try await Worker.start(try configuration(path: path), logger: logger)
    for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
      logger.info("Stopping", metadata: ["signal": "\(signal)", "grace": "\(grace) s"])
      break
    }
    await worker.shutdown(grace: .seconds(grace))
    logger.info("Stopped")
  }

  private func configuration(path: String) throws -> WorkerConfiguration {
    var configuration = WorkerConfiguration(
      modelPath: path, servedNames: servedModelName.isEmpty ? [model] : servedModelName)
    configuration.host = host
    configuration.port = port
    configuration.kvTransfer = try kvTransferConfig.map {
      try KVTransferConfiguration(json: $0, environment: ProcessInfo.processInfo.environment)
    }
    configuration.engine.speculation = try speculativeConfig.map { try NGramSpeculation(json: $0) }
    configuration.apiKeys = apiKey.isEmpty ? Self.keysFromEnvironment : apiKey
    configuration.toolCallParser = toolCallParser
    configuration.readsGenerationConfig = generationConfig == .auto
    configuration.logsRequests = !disableLogRequests
    configuration.version = Version.text
    engineOptions.apply(to: &configuration)
    try transferOptions.apply(to: &configuration)
    configuration.offload = offloadOptions.configuration
    return configuration
  }

  private static var keysFromEnvironment: [String] {
    let environment = ProcessInfo.processInfo.environment
    return [environment["XPYD_API_KEY"] ?? environment["VLLM_API_KEY"]].compactMap { $0 }
  }
}

enum GenerationConfigSource: String, CaseIterable, ExpressibleByArgument { case auto, vllm }

extension ToolCallParser: ExpressibleByArgument {
  package init?(argument: String) {
    if argument == "auto" {
      self = .ofTemplate
    } else if let format = ToolCallFormat(rawValue: argument) {
      self = .format(format)
    } else {
      return nil
    }
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
extension ActivationType: ExpressibleByArgument {}
extension KVLayout.ElementType: ExpressibleByArgument {}

/// Sizes and limits of the engine.
struct EngineOptions: ParsableArguments {
  @Option(help: "Longest sequence, prompt and output together (default: the model's context).")
  var maxModelLen: Int?

  @Option(help: "Sequences in one step at most.")
  var maxNumSeqs = EngineConfiguration().maxSequences

  @Option(help: "New tokens in one step at most (default: what takes a quarter of a second, measured at the start).")
  var maxNumBatchedTokens: Int?

  @Option(help: "Requests that may wait; one more is refused with 503.")
  var maxWaiting = EngineConfiguration().maxWaiting

  @Option(help: "Tokens per KV block.")
  var blockSize = 16

  @Option(help: "KV blocks in the pool (default: eight full contexts, at most a quarter of the memory).")
  var numKvBlocks: Int?

  @Option(help: ArgumentHelp("Size of the KV pool, instead of a number of blocks.", valueName: "bytes"))
  var kvCacheMemory: Int?

  @Flag(inversion: .prefixedNo, help: "Share the KV of equal prefixes.")
  var enablePrefixCaching = true

  @Option(
    help: """
      What products read activations as: float32, int16 (as good, and faster), or int8 (faster still, less exact). \
      Workers that hand KV over must agree.
      """)
  var activations = ActivationType.standard

  @Option(
    help: """
      How keys and values are stored: f16, f32 or q8_0 (half of f16's memory, less exact). Workers that hand KV over \
      must agree.
      """)
  var kvCacheDtype = KVLayout.ElementType.f16

  @Option(help: "Compute threads (default: one for each of --cpus, else one for each processor).")
  var threads: Int?

  @Option(help: ArgumentHelp("Processors to pin the threads to: 0,2,4-7.", valueName: "list"))
  var cpus: CPUList?

  func validate() throws {
    let sizes: [(String, Int?)] = [
      ("--max-model-len", maxModelLen), ("--max-num-seqs", maxNumSeqs), ("--max-waiting", maxWaiting),
      ("--block-size", blockSize), ("--num-kv-blocks", numKvBlocks), ("--kv-cache-memory", kvCacheMemory),
      ("--threads", threads),
    ]
    for case (let name, let value?) in sizes where value < 1 {
      throw ValidationError("\(name) must be at least 1, not \(value).")
    }
    if let maxNumBatchedTokens, maxNumBatchedTokens < maxNumSeqs {
      throw ValidationError(
        "--max-num-batched-tokens (\(maxNumBatchedTokens)) must be at least --max-num-seqs (\(maxNumSeqs)).")
    }
    if numKvBlocks != nil, kvCacheMemory != nil {
      throw ValidationError("Give --num-kv-blocks or --kv-cache-memory, not both.")
    }
    let limits = [
      ("--num-kv-blocks", numKvBlocks ?? 1, 1 << 24), ("--block-size", blockSize, 1024),
      ("--threads", threads ?? 1, 1024),
    ]
    for (name, value, limit) in limits where value > limit {
      throw ValidationError("\(name) must be at most \(limit), not \(value).")
    }
  }

  func apply(to configuration: inout WorkerConfiguration) {
    configuration.engine.maxModelLength = maxModelLen
    configuration.engine.maxSequences = maxNumSeqs
    configuration.choosesBatchedTokens = maxNumBatchedTokens == nil
    if let maxNumBatchedTokens { configuration.engine.maxBatchedTokens = maxNumBatchedTokens }
    configuration.engine.maxWaiting = maxWaiting
    configuration.engine.enablePrefixCaching = enablePrefixCaching
    configuration.blockSize = blockSize
    configuration.activations = activations
    configuration.kvElementType = kvCacheDtype
    if let numKvBlocks { configuration.poolSize = .blocks(numKvBlocks) }
    if let kvCacheMemory { configuration.poolSize = .bytes(kvCacheMemory) }
    configuration.cpus = cpus?.numbers ?? []
    configuration.threads = threads ?? cpus?.numbers.count ?? ProcessInfo.processInfo.activeProcessorCount
  }
}

/// How KV reaches other workers.
struct TransferOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How long published KV waits for its decoder.", valueName: "seconds"))
  var kvLease = 30

  @Option(help: "auto (shared memory on one host, else nixl where there is RDMA, else tcp), shm, nixl or tcp.")
  var kvTransport = TransferConfiguration.Transports.auto

  @Option(
    help: ArgumentHelp(
      "libnixl_capi.so, or the folder of Python packages with the nixl wheel (default: as Python finds it).",
      valueName: "path"))
  var nixlLibrary: String?

  @Option(help: "Which transfers compare checksums at both ends: never, wire (those over tcp and nixl) or always.")
  var kvChecksums = TransferConfiguration.Checksums.wire

  @Option(help: "Address of the transfer server (default: $VLLM_NIXL_SIDE_CHANNEL_HOST, else 127.0.0.1).")
  var sideChannelHost: String?

  @Option(help: "Port of the transfer server (default: $VLLM_NIXL_SIDE_CHANNEL_PORT, else any free one).")
  var sideChannelPort: Int?

  @Option(help: ArgumentHelp("File with the secret that all workers share.", valueName: "path"))
  var kvSecretFile: String?

  func validate() throws {
    guard kvLease >= 1 else { throw ValidationError("--kv-lease must be at least 1 second.") }
    guard (0...65_535).contains(sideChannelPort ?? 0) else {
      throw ValidationError("--side-channel-port must be from 0 to 65535.")
    }
  }

  func apply(to configuration: inout WorkerConfiguration) throws {
    let environment = ProcessInfo.processInfo.environment
    configuration.engine.lease = .seconds(kvLease)
    configuration.transfer.transports = kvTransport
    configuration.transfer.nixlLibrary = nixlLibrary
    configuration.transfer.checksums = kvChecksums
    configuration.transfer.listenHost =
      sideChannelHost ?? environment["VLLM_NIXL_SIDE_CHANNEL_HOST"] ?? configuration.transfer.listenHost
    if let text = environment["VLLM_NIXL_SIDE_CHANNEL_PORT"], sideChannelPort == nil {
      guard let port = Int(text), (0...65_535).contains(port) else {
        throw ValidationError("VLLM_NIXL_SIDE_CHANNEL_PORT is '\(text)', which is no port.")
      }
      configuration.transfer.port = port
    }
    configuration.transfer.port = sideChannelPort ?? configuration.transfer.port
    configuration.transfer.secret = try kvSecretFile.map { try TransferSecret.read($0) }
  }
}

extension TransferConfiguration.Transports: ExpressibleByArgument {}
extension TransferConfiguration.Checksums: ExpressibleByArgument {}

/// `0,2,4-7`
struct CPUList: ExpressibleByArgument {
  var numbers: [Int] = []

  init?(argument: String) {
    for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, 0 <= first, first <= last,
        last < 4096
      else { return nil }
      numbers += first...last
    }
  }
}
