import ModelFiles
import TestSupport
import Testing

/// A folder with this configuration (or a plain one), and these weights (or none).
private func folder(
  _ config: String = plain, weights: [UInt8] = TemporaryFolder.safetensors("{}"), more: [String: [UInt8]] = [:]
) throws -> TemporaryFolder {
  try TemporaryFolder(["config.json": Array(config.utf8), "model.safetensors": weights].merging(more) { $1 })
}

private func metadata(_ config: String) throws -> GGUFMetadata {
  let folder = try folder(config)
  return try HuggingFaceFolder(path: folder.path).metadata
}

private let shape = """
  "num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 512,
  "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6
  """
private let llama3 = """
  {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
   "original_max_position_embeddings": 64}
  """
private let plain = "{\"model_type\": \"llama\", \(shape)}"

@Suite struct HuggingFaceFolderTests {
  @Test func `A configuration is what a converter writes`() throws {
    let metadata = try metadata("{\"model_type\": \"mistral\", \"sliding_window\": 128, \"rope_theta\": 5e5, \(shape)}")
    #expect(metadata.string("general.architecture") == "llama")
    #expect(metadata.integer("llama.block_count") == 4 && metadata.integer("llama.embedding_length") == 64)
    #expect(metadata.integer("llama.attention.head_count_kv") == 2)
    #expect(metadata.double("llama.attention.layer_norm_rms_epsilon") == 1e-6)
    #expect(metadata.double("llama.rope.freq_base") == 5e5 && metadata.integer("llama.rope.dimension_count") == 16)
    #expect(metadata.integer("llama.attention.sliding_window") == 128)
  }

  @Test func `Llama 3's scaling becomes divisors`() throws {
    for config in [
      "{\"model_type\": \"llama\", \"rope_theta\": 10000.0, \"rope_scaling\": \(llama3), \(shape)}",
      "{\"model_type\": \"llama\", \"rope_parameters\": \(llama3), \(shape)}",
    ] {
      let divisors = try metadata(config).floats("rope_freqs.weight")
      #expect(divisors?.count == 8 && divisors?[0] == 1 && divisors?[7] == 8)
      #expect(divisors.map { $0 == $0.sorted() } == true)
    }
  }

  @Test func `A window that is switched off is none, and its layers are those that are stated`() throws {
    let off = try metadata(
      "{\"model_type\": \"qwen2\", \"sliding_window\": 64, \"use_sliding_window\": false, \(shape)}")
    #expect(off.integer("qwen2.attention.sliding_window") == nil)
    let on = """
      {"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true, "max_window_layers": 3, \(shape)}
      """
    #expect(try metadata(on).bools("qwen2.attention.sliding_window_pattern") == [false, false, false, true])
    let every = "{\"model_type\": \"gemma3_text\", \"sliding_window\": 64, \"sliding_window_pattern\": 2, \(shape)}"
    #expect(try metadata(every).bools("gemma3.attention.sliding_window_pattern") == [true, false, true, false])
    let types = """
      {"model_type": "gemma2", "sliding_window": 64, \(shape),
       "layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"]}
      """
    #expect(try metadata(types).bools("gemma2.attention.sliding_window_pattern") == [false, true, false, false])
  }

  @Test(arguments: [
    ("\"quantization_config\": {\"quant_method\": \"gptq\"}", "gptq"), ("\"hidden_act\": \"relu\"", "relu"),
    ("\"text_config\": {}", "text_config"), ("\"hidden_size\": null", "hidden_size"),
    ("\"num_attention_heads\": \"4\"", "num_attention_heads"),
    ("\"rope_scaling\": {\"rope_type\": \"longrope\"}", "original_max_position_embeddings"),
    ("\"rope_scaling\": {\"rope_type\": \"linear\"}", "factor"),
    ("\"head_dim\": \(Int.max), \"rope_scaling\": \(llama3)", "llama3"),
  ])
  func `What cannot be run is refused by name`(field: String, named: String) throws {
    let error = #expect(throws: ModelFolderError.self) {
      try metadata("{\"model_type\": \"llama\", \(shape), \(field)}")
    }
    #expect(error.map { "\($0)" }?.contains(named) == true)
  }

  @Test func `Tensors have GGUF's names, and their bytes`() throws {
    let header = """
      {"__metadata__": {"format": "pt"},
       "model.layers.11.self_attn.q_proj.weight": {"dtype": "BF16", "shape": [4, 2], "data_offsets": [8, 24]},
       "model.norm.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
      """
    let folder = try folder(weights: TemporaryFolder.safetensors(header, dataBytes: 24))
    let model = try openModel(path: folder.path)
    #expect(model.header.isOriginal && model.tensors.map(\.name) == ["blk.11.attn_q.weight", "output_norm.weight"])
    let query = try #require(model.tensor(named: "blk.11.attn_q.weight"))
    #expect(query.dimensions == [2, 4] && query.type == .bf16)
    #expect(model.bytes(of: query).count == 16 && model.headerBytes.count == 2)
  }

  @Test func `Shards are read as their index says, and each tensor once`() throws {
    func shard(_ name: String) -> [UInt8] {
      TemporaryFolder.safetensors(
        "{\"\(name)\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}", dataBytes: 8)
    }
    let index = Array(
      #"{"weight_map": {"model.norm.weight": "a.safetensors", "lm_head.weight": "b.safetensors"}}"#.utf8)
    var files = ["model.safetensors.index.json": index, "a.safetensors": shard("model.norm.weight")]
    files["b.safetensors"] = shard("lm_head.weight")
    let good = try folder(more: files)
    #expect(try openModel(path: good.path).tensors.map(\.name) == ["output_norm.weight", "output.weight"])
    files["b.safetensors"] = shard("model.norm.weight")
    let twice = try folder(more: files)
    #expect(throws: ModelFolderError.duplicateTensor("output_norm.weight", path: "\(twice.path)/b.safetensors")) {
      try openModel(path: twice.path)
    }
    files["b.safetensors"] = nil
    let incomplete = try folder(more: files)
    let missing = #expect(throws: ModelFolderError.self) { try openModel(path: incomplete.path) }
    #expect(missing.map { "\($0)" }?.contains("b.safetensors") == true)
    let outside = try folder(more: [
      "model.safetensors.index.json": Array(#"{"weight_map": {"x": "../a.safetensors"}}"#.utf8)
    ])
    #expect(throws: ModelFolderError.self) { try openModel(path: outside.path) }
  }

  @Test(arguments: [
    "{", "[]x", #"{"x": {"dtype": "F32", "shape": [2]}}"#,
    #"{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}"#,
    #"{"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}"#,
    #"{"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}"#,
    #"{"x": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}"#,
    #"{"x": {"dtype": "F32", "shape": [4611686018427387904, 4611686018427387904], "data_offsets": [0, 8]}}"#,
    #"{"x": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}"#,
  ])
  func `Weights that are wrong are refused`(header: String) throws {
    let folder = try folder(weights: TemporaryFolder.safetensors(header, dataBytes: 8))
    let error = #expect(throws: ModelFolderError.self) { try openModel(path: folder.path) }
    #expect(error.map { "\($0)" }?.contains("model.safetensors") == true)
  }

  @Test func `Headers that lie about their length are refused`() throws {
    for bytes in [[], [1, 2, 3], Array(repeating: 0xFF, count: 8), [200, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D]] as [[UInt8]]
    {
      let folder = try folder(weights: bytes)
      #expect(throws: ModelFolderError.self) { try openModel(path: folder.path) }
    }
  }

  @Test func `A folder without weights or configuration names what is missing`() throws {
    for name in ["config.json", "model.safetensors"] {
      var files = ["config.json": Array(plain.utf8), "model.safetensors": TemporaryFolder.safetensors("{}")]
      files[name] = nil
      let folder = try TemporaryFolder(files)
      let error = #expect(throws: ModelFolderError.self) { try openModel(path: folder.path) }
      #expect(error.map { "\($0)" }?.contains(name) == true)
    }
  }

  @Test func `Documents keep every field in its order, and their bytes`() throws {
    let text = #"{"\u00e9": 1, "e\u0301": 2, "a\u00e9\ud83d\ude00\n": [true, null, -1.5e2, "x"]}"#
    let folder = try folder(more: ["extra.json": Array(text.utf8)])
    let document = try HuggingFaceFolder(path: folder.path).json("extra.json")
    #expect(document?.fields.count == 3 && document?.fields[2].key == "aé😀\n")
    #expect(document?.fields[2].value == .array([.bool(true), .null, .number(-150), .string("x")]))
  }

  @Test(arguments: [
    "", "{\"a\" 1}", "[1,]", "tru", "\"\u{1}\"", "\"\\x\"", "\"\\u12g4\"", "1 2", "+", "1e999",
    String(repeating: "[", count: 100_000),
  ])
  func `What is no JSON is refused`(text: String) throws {
    let folder = try folder(more: ["extra.json": Array(" \(text)".utf8)])
    #expect(throws: ModelFolderError.self) { try HuggingFaceFolder(path: folder.path).json("extra.json") }
  }
}
