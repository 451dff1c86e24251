/// A prompt as far as routing looks at it: the bytes of its JSON text, in blocks. No tokenizer is asked.
package struct PromptBlocks: Sendable, Equatable {
  package static let bytesPerBlock = 512
  /// What lies behind the first 128 KiB of a prompt is not looked at.
  package static let mostBlocks = 256
  package static let none = PromptBlocks()

  /// Of the whole blocks, in order. A block's hash covers all blocks before it, so that equal hashes mean equal prefixes.
  package let hashes: [UInt64]
  /// Of the whole prompt.
  package let bytes: Int
  /// Estimated, but exact if the prompt came as token ids.
  package let tokens: Int

  private init() {
    hashes = []
    bytes = 0
    tokens = 0
  }

  /// - Parameters: text: the JSON text of the prompt or the messages. seed: stands for what else decides a prompt's KV, as
  ///   the model's name.
  package init(_ text: UnsafeRawBufferPointer, seed: UInt64) {
    bytes = text.count
    tokens = Self.tokens(in: text)
    let count = min(text.count / Self.bytesPerBlock, Self.mostBlocks)
    var hash = seed
    hashes = (0..<count).map { index in
      let start = index * Self.bytesPerBlock
      hash = StableHash.hash(UnsafeRawBufferPointer(rebasing: text[start..<(start + Self.bytesPerBlock)]), seed: hash)
      return hash
    }
  }

  /// Ids have commas between them. Of a text about four bytes make a token.
  private static func tokens(in text: UnsafeRawBufferPointer) -> Int {
    let first = text.dropFirst().first { $0 > UInt8(ascii: " ") }
    guard text.first == UInt8(ascii: "["), let first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
    else { return (text.count + 3) / 4 }
    return text.reduce(1) { $1 == UInt8(ascii: ",") ? $0 + 1 : $0 }
  }

  /// How many tokens lie behind the first `seenBytes` bytes; of a prompt at least one, which is always computed anew.
  package func tokens(behind seenBytes: Int) -> Int {
    guard bytes > 0 else { return 0 }
    return max(1, tokens - Int(Double(tokens) * Double(min(seenBytes, bytes)) / Double(bytes)))
  }
}
