import Crypto
import Engine
import Foundation
import Grammars
import KVBlocks
import KVOffload
import KVTransfer
import Kernels
import Logging
import ModelFiles
import Models
import ServingAPI
import Tokenization

/// Everything that stands behind the HTTP front, loaded and running.
struct LoadedWorker: Sendable {
  var model: ServedModel
  var engine: Engine
  var plane: KVPlane?
  var offload: OffloadStore?
  var layout: KVLayout
  var report: ModelLoadReport
  var engineID: String
  var kvBlocks: Int
  var maxBatchedTokens: Int

  /// Maps the file, repacks its weights, and starts engine and transfer server. Takes seconds and all compute
  /// threads: not for the cooperative pool, nor for an event loop.
  init(_ configuration: WorkerConfiguration, logger: Logger) throws {
    let allowed = Processors.allowed
    if let missing = configuration.cpus.first(where: { !allowed.contains($0) }) {
      throw WorkerError.noProcessor(missing, allowed: allowed)
    }
    let (file, tokenizer, llama) = try Self.open(configuration)
    layout = llama.kvLayout
    report = llama.loadReport
    engineID = UUID().uuidString.lowercased()
    kvBlocks = try configuration.poolSize.blocks(
      layout: layout, maxModelLength: llama.contextLength, memory: Int(ProcessInfo.processInfo.physicalMemory))
    let memory = try KVMemory(layout: layout, blockCount: kvBlocks)
    let identity = KVIdentity(
      engineID: engineID,
      model: ModelFingerprint.of(file, llama.configuration, activations: configuration.activations),
      tokenizer: ModelFingerprint.of(tokenizer), layout: layout)
    plane = try KVPlane.make(configuration, memory, identity, logger)
    offload = try OffloadStore.make(configuration, memory, identity, logger)
    model = ServedModel(
      names: configuration.servedNames, path: configuration.modelPath, tokenizer: tokenizer,
      template: Self.template(of: tokenizer, logger),
      grammars: GrammarCompiler(vocabulary: GrammarVocabulary(tokenizer)),
      toolCallFormat: try configuration.toolCallParser?.format(template: tokenizer.chatTemplateSource),
      samplingDefaults: try configuration.readsGenerationConfig ? SamplingDefaults(of: file) : SamplingDefaults(),
      maxModelLength: llama.contextLength,
      vocabularySize: min(llama.vocabularySize, tokenizer.vocabularySize),
      longestToken: tokenizer.longestToken, created: Int(Date().timeIntervalSince1970),
      systemFingerprint: "xpyd-\(configuration.version)")
    // The weights are repacked: of the file only rows of embeddings are still read.
    file.releasePages()
    var settings = configuration.engine
    settings.eosTokenIDs = tokenizer.endOfGenerationTokenIDs
    settings.vocabularySize = model.vocabularySize
    if let policy = configuration.kvTransfer?.pullFailurePolicy { settings.pullFailurePolicy = policy }
    let pinned = PinnedModel(llama, processor: configuration.cpus.first)
    if configuration.choosesBatchedTokens {
      settings.maxBatchedTokens = StepBudget.tokens(
        perSecond: StepBudget.prefillRate(of: pinned, kv: memory), maxSequences: settings.maxSequences)
    }
    maxBatchedTokens = settings.maxBatchedTokens
    engine = Engine(
      model: pinned, kv: memory, configuration: settings,
      transport: plane?.transport, offload: offload, logger: logger)
  }

  private static func open(
    _ configuration: WorkerConfiguration
  ) throws(WorkerError) -> (any ModelFile, Tokenizer, LlamaModel) {
    do {
      let file = try openModel(path: configuration.modelPath)
      let llama = try LlamaModel(
        file: file, threads: ThreadPool(threads: configuration.threads, cpus: configuration.cpus),
        maxContext: configuration.engine.maxModelLength, blockSize: configuration.blockSize,
        kvElementType: configuration.kvElementType, activations: configuration.activations)
      return (file, try Tokenizer(file: file), llama)
    } catch {
      throw WorkerError.model("\(configuration.modelPath): \(error)")
    }
  }

  /// A template that we cannot read costs the chat endpoint, not the worker.
  private static func template(of tokenizer: Tokenizer, _ logger: Logger) -> ChatTemplate? {
    guard let source = tokenizer.chatTemplateSource else { return nil }
    do {
      return try ChatTemplate(source: source)
    } catch {
      logger.warning("The chat template cannot be used", metadata: ["reason": "\(error)"])
      return nil
    }
  }
}

extension GrammarVocabulary {
  /// Special tokens are no text that a grammar could ask for.
  fileprivate convenience init(_ tokenizer: Tokenizer) {
    self.init(
      pieces: (0..<Int32(tokenizer.vocabularySize)).map { tokenizer.isSpecial($0) ? [] : tokenizer.bytes(of: $0) })
  }
}

extension Tokenizer {
  /// In bytes.
  fileprivate var longestToken: Int {
    (0..<Int32(vocabularySize)).reduce(1) { max($0, bytes(of: $1).count) }
  }
}

extension OffloadStore {
  /// - Returns: nil if evicted KV is not kept.
  fileprivate static func make(
    _ configuration: WorkerConfiguration, _ pool: KVMemory, _ identity: KVIdentity, _ logger: Logger
  ) throws -> OffloadStore? {
    guard let settings = configuration.offload ?? configuration.kvTransfer?.offload else { return nil }
    guard configuration.engine.enablePrefixCaching else { throw WorkerError.offloadWithoutPrefixCaching }
    // Another version may compute other bits.
    return try OffloadStore(
      pool: pool, fingerprint: "\(identity.model) \(identity.tokenizer) \(configuration.version)",
      configuration: settings,
      logger: logger)
  }
}

/// Names what two workers must share before KV may move between them.
enum ModelFingerprint {
  private static let sampleBytes = 4096

  /// SHA-256 of the headers (metadata, vocabulary, tensor table), the size, and the ends of every tensor: models that
  /// differ, differ there, and a large file need not be read through. And the type of activations, and the angles that
  /// keys turn by, which a model may choose by its context's length: KV computed from others is other KV.
  static func of(
    _ file: any ModelFile, _ configuration: ModelConfiguration, activations: ActivationType
  ) -> String {
    var hash = SHA256()
    for header in file.headerBytes { hash.update(bufferPointer: header) }
    for frequency in configuration.rope.frequencies {
      withUnsafeBytes(of: frequency.bitPattern.littleEndian) { hash.update(bufferPointer: $0) }
    }
    hash.update(data: Array("\(file.byteCount)".utf8))
    hash.update(data: Array(activations.rawValue.utf8))
    for tensor in file.tensors {
      let bytes = file.bytes(of: tensor)
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes.prefix(sampleBytes)))
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes.suffix(sampleBytes)))
    }
    return hex(hash.finalize())
  }

  /// SHA-256 of every token's bytes.
  static func of(_ tokenizer: Tokenizer) -> String {
    var hash = SHA256()
    for id in 0..<Int32(tokenizer.vocabularySize) {
      let bytes = tokenizer.bytes(of: id)
      hash.update(data: withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { Array($0) })
      hash.update(data: bytes)
    }
    return hex(hash.finalize())
  }

  private static func hex(_ digest: SHA256.Digest) -> String {
    digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}
