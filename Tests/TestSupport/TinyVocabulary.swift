/// A byte-level BPE vocabulary: three special tokens, one token per byte, and a few merges.
package enum TinyVocabulary {
  package static let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
  package static let merges = ["Ġ t", "h e", "i n", "Ġt he", "e r", "o n"]
  /// Id = index: specials, bytes 0…255, merges.
  package static let tokens = specials + byteTokens + merges.map { $0.filter { $0 != " " } }

  package static let chatTemplate = """
    {% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
    """

  /// GPT-2's printable stand-in for each byte: itself where it is visible Latin-1, else U+0100 onwards in order.
  private static let byteTokens: [String] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE {
        return String(Unicode.Scalar(byte)!)
      }
      defer { next += 1 }
      return String(Unicode.Scalar(next)!)
    }
  }()

  static func add(to writer: inout GGUFWriter) {
    writer.add("tokenizer.ggml.model", .string("gpt2"))
    writer.add("tokenizer.ggml.pre", .string("smollm"))
    writer.add("tokenizer.ggml.tokens", .strings(tokens))
    writer.add("tokenizer.ggml.token_type", .array(tokens.indices.map { .int32($0 < specials.count ? 3 : 1) }))
    writer.add("tokenizer.ggml.merges", .strings(merges))
    writer.add("tokenizer.ggml.bos_token_id", .uint32(1))
    writer.add("tokenizer.ggml.eos_token_id", .uint32(2))
    writer.add("tokenizer.ggml.unknown_token_id", .uint32(0))
    writer.add("tokenizer.ggml.padding_token_id", .uint32(2))
    writer.add("tokenizer.ggml.add_bos_token", .bool(false))
    writer.add("tokenizer.chat_template", .string(chatTemplate))
  }
}
