import ModelFiles
import Models
import TestSupport
import Testing

/// The configuration that the tiny model's file gives after `change`.
private func configuration(
  _ tiny: TinyModel = TinyModel(), maxContext: Int? = nil, change: (inout GGUFWriter) -> Void = { _ in }
) throws -> ModelConfiguration {
  var writer = tiny.writer()
  change(&writer)
  let file = writer.write()
  return try ModelConfiguration(file: GGUFFile(path: file.path), maxContext: maxContext)
}

@Suite struct ModelConfigurationTests {
  @Test func `The reference model's numbers are read`() throws {
    let configuration = try ModelConfiguration(file: GGUFFile(path: referenceModelPath()))
    #expect(configuration.architecture == .llama)
    #expect(configuration.layers == 30 && configuration.width == 576 && configuration.feedForwardWidth == 1536)
    #expect(configuration.heads == 9 && configuration.kvHeads == 3 && configuration.headDim == 64)
    #expect(configuration.vocabularySize == 49152 && configuration.contextLength == 8192)
    #expect(configuration.normEpsilon == 1e-5)
    #expect(configuration.rope.frequencies.count == 32 && configuration.rope.frequencies[0] == 1)
    #expect(abs(configuration.rope.frequencies[16] - 1 / 100_000.0.squareRoot()) < 1e-12)
  }

  @Test func `What a file may leave out has its usual value`() throws {
    let configuration = try configuration {
      $0.set("llama.attention.head_count_kv", nil)
      $0.set("llama.rope.freq_base", nil)
      $0.set("llama.rope.dimension_count", nil)
    }
    #expect(configuration.kvHeads == configuration.heads)
    #expect(configuration.headDim == 16 && configuration.rope.frequencies.count == 8)
    #expect(abs(configuration.rope.frequencies[4] - 0.01) < 1e-12, "base 10,000")
  }

  @Test func `A stated head dimension wins over width / heads`() throws {
    var tiny = TinyModel()
    tiny.headDim = 24
    let configuration = try configuration(tiny)
    #expect(configuration.headDim == 24 && configuration.queryWidth == 96 && configuration.width == 64)
  }

  @Test func `Linear scaling and llama3 divisors slow the rotation`() throws {
    let plain = try configuration().rope.frequencies
    let linear = try configuration {
      $0.add("llama.rope.scaling.type", .string("linear"))
      $0.add("llama.rope.scaling.factor", .float32(4))
    }
    #expect(linear.rope.frequencies == plain.map { $0 / 4 })
    var tiny = TinyModel()
    tiny.ropeFactors = [1, 1, 1, 2, 4, 8, 8, 8]
    #expect(try configuration(tiny).rope.frequencies == zip(plain, tiny.ropeFactors!).map { $0 / Double($1) })
  }

  @Test func `Dimensions that do not rotate have no frequency`() throws {
    let rope = try configuration { $0.set("llama.rope.dimension_count", .uint32(8)) }.rope
    #expect(rope.frequencies.count == 4)
  }

  @Test func `The context is what was asked for, within the model's limit`() throws {
    #expect(try configuration(maxContext: 100).contextLength == 100)
    #expect(throws: ModelError.contextTooLong(requested: 513, limit: 512)) {
      try configuration(maxContext: 513)
    }
    #expect(throws: ModelError.invalidContext(0)) { try configuration(maxContext: 0) }
  }

  @Test func `A window slides in every layer, unless the file or the architecture says in which`() throws {
    #expect(try configuration().windows == [nil, nil])
    #expect(try configuration { $0.add("llama.attention.sliding_window", .uint32(128)) }.windows == [128, 128])
    let stated = try configuration {
      $0.add("llama.attention.sliding_window", .uint32(128))
      $0.add("llama.attention.sliding_window_pattern", .array([.bool(false), .bool(true)]))
    }
    #expect(stated.windows == [nil, 128] && stated.contextLength == 512)
    var tiny = TinyModel()
    (tiny.architecture, tiny.layers) = ("gemma3", 7)
    let gemma = try configuration(tiny) { $0.add("gemma3.attention.sliding_window", .uint32(64)) }
    #expect(gemma.windows == [64, 64, 64, 64, 64, nil, 64])
    #expect(gemma.slidingRope?.frequencies[0] == 1 && gemma.architecture == .gemma3)
  }

  @Test func `A refused architecture is told which ones run`() throws {
    let error = #expect(throws: ModelError.unsupportedArchitecture("mamba")) {
      try configuration { $0.set("general.architecture", .string("mamba")) }
    }
    let text = error.map { "\($0)" } ?? ""
    for word in ["mamba", "llama", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"] { #expect(text.contains(word)) }
  }

  struct Refusal: CustomTestStringConvertible {
    var key: String
    var value: GGUFWriter.Value?
    var label: String
    var testDescription: String { "\(key) = \(value.map { "\($0)" } ?? "missing")" }
  }

  @Test(arguments: [
    Refusal(key: "general.architecture", value: .string("mamba"), label: "unsupported_architecture"),
    Refusal(key: "general.architecture", value: nil, label: "unsupported_architecture"),
    Refusal(key: "llama.block_count", value: nil, label: "missing_metadata"),
    Refusal(key: "llama.block_count", value: .uint32(0), label: "invalid_metadata"),
    Refusal(key: "llama.block_count", value: .uint64(1 << 40), label: "invalid_metadata"),
    Refusal(key: "llama.embedding_length", value: .string("64"), label: "invalid_metadata"),
    Refusal(key: "llama.embedding_length", value: .uint32(96), label: "misshapen_tensor"),
    Refusal(key: "llama.context_length", value: nil, label: "missing_metadata"),
    Refusal(key: "llama.feed_forward_length", value: .int32(-1), label: "invalid_metadata"),
    Refusal(key: "llama.attention.head_count", value: .array([.uint32(4), .uint32(4)]), label: "invalid_metadata"),
    Refusal(key: "llama.attention.head_count", value: .uint32(5), label: "invalid_metadata"),
    Refusal(key: "llama.attention.head_count_kv", value: .uint32(3), label: "invalid_metadata"),
    Refusal(key: "llama.attention.key_length", value: .uint32(15), label: "unsupported_feature"),
    Refusal(key: "llama.attention.value_length", value: .uint32(8), label: "unsupported_feature"),
    Refusal(key: "llama.attention.layer_norm_rms_epsilon", value: nil, label: "missing_metadata"),
    Refusal(key: "llama.attention.layer_norm_rms_epsilon", value: .float32(.nan), label: "invalid_metadata"),
    Refusal(key: "llama.attention.sliding_window", value: .string("x"), label: "invalid_metadata"),
    Refusal(key: "llama.attn_logit_softcapping", value: .float32(-1), label: "invalid_metadata"),
    Refusal(key: "llama.final_logit_softcapping", value: .float32(.infinity), label: "invalid_metadata"),
    Refusal(key: "llama.attention.scale", value: .float32(0), label: "invalid_metadata"),
    Refusal(key: "llama.rope.dimension_count", value: .uint32(32), label: "invalid_metadata"),
    Refusal(key: "llama.rope.freq_base", value: .float32(-1), label: "invalid_metadata"),
    Refusal(key: "llama.rope.scaling.type", value: .string("yarn"), label: "unsupported_feature"),
    Refusal(key: "llama.expert_count", value: .uint32(8), label: "unsupported_feature"),
  ])
  func `Metadata that we cannot run is refused by name`(refusal: Refusal) throws {
    let error = #expect(throws: ModelError.self) {
      try configuration { $0.set(refusal.key, refusal.value) }
    }
    #expect(error?.label == refusal.label)
    #expect(error.map { "\($0)" }?.isEmpty == false)
  }

  @Test func `Divisors of the wrong count or sign are refused`() throws {
    var tiny = TinyModel()
    tiny.ropeFactors = [1, 1, 1]
    #expect(throws: ModelError.misshapenTensor(name: "rope_freqs.weight", found: [3], expected: [8])) {
      try configuration(tiny)
    }
    tiny.ropeFactors = [1, 1, 1, 1, 1, 1, 1, 0]
    #expect(throws: ModelError.self) { try configuration(tiny) }
  }
}
