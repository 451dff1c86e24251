import ModelFiles
import TestSupport
import Testing

@Suite struct GGUFFileTests {
  @Test(arguments: [2, 3] as [UInt32])
  func `Metadata of every kind comes back as written, in file order`(version: UInt32) throws {
    var writer = GGUFWriter()
    writer.version = version
    writer.add("a.string", .string("zwölf"))
    writer.add("a.u8", .uint8(200))
    writer.add("a.u64", .uint64(.max))
    writer.add("a.i32", .int32(-7))
    writer.add("a.f32", .float32(0.5))
    writer.add("a.bool", .bool(true))
    writer.add("a.strings", .strings(["x", "", "yz"]))
    writer.add("a.integers", .array([.int32(-1), .int32(2)]))
    writer.add("a.floats", .array([.float32(1.5), .float32(-2)]))
    writer.add("a.nested", .array([.array([.uint8(1)]), .array([.uint8(2), .uint8(3)])]))
    let file = writer.write()
    let gguf = try GGUFFile(path: file.path)
    let metadata = gguf.metadata

    #expect(gguf.version == Int(version))
    #expect(metadata.keys == writer.metadata.map(\.key))
    #expect(metadata.string("a.string") == "zwölf")
    #expect(metadata.integer("a.u8") == 200)
    #expect(metadata.integer("a.i32") == -7)
    #expect(metadata.integer("a.u64") == nil, "2^64 - 1 does not fit into Int")
    #expect(metadata["a.u64"].map { "\($0)" } == "18446744073709551615")
    #expect(metadata.double("a.f32") == 0.5)
    #expect(metadata.double("a.i32") == -7)
    #expect(metadata.bool("a.bool") == true)
    #expect(metadata.strings("a.strings") == ["x", "", "yz"])
    #expect(metadata.integers("a.integers") == [-1, 2])
    #expect(metadata.floats("a.floats") == [1.5, -2])
    #expect(metadata["a.nested"].map { "\($0)" } == "[[1], [2, 3]]")
    #expect(metadata.string("a.u8") == nil && metadata.integer("a.string") == nil && metadata.bool("missing") == nil)
  }

  @Test func `Tensors keep their order, types, dimensions and bytes`() throws {
    var writer = GGUFWriter()
    writer.alignment = 64
    writer.add("general.alignment", .uint32(64))
    writer.addTensor("second", type: .q4_1, dimensions: [32, 2], bytes: Array(0..<40))
    writer.addTensor("first", type: .f32, dimensions: [3], bytes: Array(100..<112))
    let file = writer.write()
    let gguf = try GGUFFile(path: file.path)

    #expect(gguf.tensors.map(\.name) == ["second", "first"])
    #expect(gguf.tensors.map(\.type) == [.q4_1, .f32])
    #expect(gguf.tensors.map(\.dimensions) == [[32, 2], [3]])
    #expect(gguf.tensors.allSatisfy { $0.byteRange.lowerBound % 64 == 0 })
    #expect(Array(gguf.bytes(of: gguf.tensors[0])) == Array(0..<40))
    #expect(Array(gguf.bytes(of: try #require(gguf.tensor(named: "first")))) == Array(100..<112))
    #expect(gguf.tensor(named: "third") == nil)
    #expect(gguf.headerRange == 0..<gguf.tensors[0].byteRange.lowerBound)
  }

  @Test func `A description quotes text and cuts long arrays`() throws {
    var writer = GGUFWriter()
    writer.add("text", .string("a\n\"b\""))
    writer.add("tokens", .strings((0..<10).map { "t\($0)" }))
    let file = writer.write()
    let metadata = try GGUFFile(path: file.path).metadata
    #expect(metadata["text"].map { "\($0)" } == #""a\n\"b\"""#)
    #expect(metadata["tokens"].map { "\($0)" } == #"["t0", "t1", "t2", "t3", "t4", "t5", … 10 in all]"#)
  }

  @Test func `The reference model's header reads in full`() throws {
    let gguf = try GGUFFile(path: try referenceModelPath())
    #expect(gguf.version == 3)
    #expect(gguf.metadata.keys.count == 33)
    #expect(gguf.tensors.count == 272)
    #expect(gguf.headerRange.count == 1_785_664)
    #expect(gguf.metadata.strings("tokenizer.ggml.tokens")?.count == 49152)
    #expect(gguf.metadata.integers("tokenizer.ggml.token_type")?.prefix(3) == [3, 3, 3])
    let embedding = try #require(gguf.tensor(named: "token_embd.weight"))
    #expect(embedding.type == .q8_0 && embedding.dimensions == [576, 49152])
    #expect(gguf.tensors.last?.byteRange.upperBound == gguf.byteCount)
  }

  @Test func `Every type number names itself and its block`() {
    for type in GGUFTensorType.allCases {
      #expect(type.block.elements > 0 && type.block.bytes > 0)
      #expect("\(type)" == "\(type)".uppercased())
    }
    #expect("\(GGUFTensorType.iq2_xs)" == "IQ2_XS")
  }
}
