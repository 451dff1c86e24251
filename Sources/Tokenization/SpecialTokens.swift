/// The tokens that stand in a text as they are, such as `<|im_start|>`: found before anything else is encoded, the
/// leftmost first, and the longest of those that begin at the same byte.
struct SpecialTokens: Sendable {
  enum Fragment: Equatable {
    case text(Range<Int>)
    case token(Int32)
  }

  /// A trie: children of a node by byte; node 0 is the root.
  private var children: [Edge: Int] = [:]
  private var tokenOfNode: [AddedToken?] = [nil]
  private var canBegin = [Bool](repeating: false, count: 256)

  private struct Edge: Hashable {
    var node: Int
    var byte: UInt8
  }

  /// - Parameter tokens: Of those with the same text the first is found; empty ones are not.
  init(_ tokens: some Sequence<AddedToken>) {
    for token in tokens {
      guard let first = token.text.utf8.first else { continue }
      canBegin[Int(first)] = true
      var node = 0
      for byte in token.text.utf8 {
        let edge = Edge(node: node, byte: byte)
        if children[edge] == nil {
          children[edge] = tokenOfNode.count
          tokenOfNode.append(nil)
        }
        node = children[edge, default: 0]
      }
      if tokenOfNode[node] == nil { tokenOfNode[node] = token }
    }
  }

  /// Cuts `text` into special tokens and what lies between them; no fragment is empty.
  func fragments(of text: UnsafeBufferPointer<UInt8>) -> [Fragment] {
    var fragments: [Fragment] = []
    var (textStart, index) = (0, 0)
    while index < text.count {
      guard canBegin[Int(text[index])], let (token, end) = longestMatch(in: text, at: index) else {
        index += 1
        continue
      }
      let textEnd = token.stripsLeft ? startOfSpace(in: text, from: textStart, to: index) : index
      if textStart < textEnd { fragments.append(.text(textStart..<textEnd)) }
      fragments.append(.token(token.id))
      index = token.stripsRight ? endOfSpace(in: text, from: end) : end
      textStart = index
    }
    if textStart < text.count { fragments.append(.text(textStart..<text.count)) }
    return fragments
  }

  func id(of text: String) -> Int32? {
    var text = text
    return text.withUTF8 { text in
      guard let (token, end) = longestMatch(in: text, at: 0), end == text.count else { return nil }
      return token.id
    }
  }

  private func longestMatch(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (token: AddedToken, end: Int)? {
    var (node, index) = (0, start)
    var longest: (token: AddedToken, end: Int)?
    while index < text.count, let child = children[Edge(node: node, byte: text[index])] {
      (node, index) = (child, index + 1)
      if let token = tokenOfNode[node] { longest = (token, index) }
    }
    return longest
  }

  /// Where the white space that ends at `end` begins.
  private func startOfSpace(in text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int) -> Int {
    let reader = ScalarReader(text)
    var (index, spaceStart) = (start, start)
    while index < end {
      let (kind, next) = reader.scalar(at: index)
      if !kind.isWhitespace { spaceStart = next }
      index = next
    }
    return spaceStart
  }

  private func endOfSpace(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    let reader = ScalarReader(text)
    var index = start
    while index < text.count {
      let (kind, next) = reader.scalar(at: index)
      guard kind.isWhitespace else { break }
      index = next
    }
    return index
  }
}

/// The texts of tokens that end a turn or a text in the model families at hand, whatever the file says of them.
///
/// Those of llama.cpp, less the infill tokens, and only where the file marks the token as control or user defined.
let endOfGenerationTexts = [
  "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>", "<end_of_turn>", "<EOT>",
  "<｜end▁of▁sentence｜>",
]
