/// The tokens that stand in a text as they are, such as `<|im_start|>`: found before anything else is encoded, the
/// leftmost first, and the longest of those that begin at the same byte.
struct SpecialTokens: Sendable {
  enum Fragment: Equatable {
    case text(Range<Int>)
    case token(Int32)
  }

  /// A trie: children of a node by byte; node 0 is the root.
  private var children: [Edge: Int] = [:]
  private var tokenOfNode: [Int32?] = [nil]
  private var canBegin = [Bool](repeating: false, count: 256)

  private struct Edge: Hashable {
    var node: Int
    var byte: UInt8
  }

  /// - Parameter ids: Of tokens in `pieces`; the empty ones are never found.
  init(_ pieces: TokenPieces, ids: some Sequence<Int32>) {
    for id in ids {
      guard let first = pieces[id].first else { continue }
      canBegin[Int(first)] = true
      var node = 0
      for byte in pieces[id] {
        let edge = Edge(node: node, byte: byte)
        if children[edge] == nil {
          children[edge] = tokenOfNode.count
          tokenOfNode.append(nil)
        }
        node = children[edge, default: 0]
      }
      if tokenOfNode[node] == nil { tokenOfNode[node] = id }
    }
  }

  /// Cuts `text` into special tokens and what lies between them; no fragment is empty.
  func fragments(of text: UnsafeBufferPointer<UInt8>) -> [Fragment] {
    var fragments: [Fragment] = []
    var (textStart, index) = (0, 0)
    while index < text.count {
      guard canBegin[Int(text[index])], let (id, end) = longestMatch(in: text, at: index) else {
        index += 1
        continue
      }
      if textStart < index { fragments.append(.text(textStart..<index)) }
      fragments.append(.token(id))
      (textStart, index) = (end, end)
    }
    if textStart < text.count { fragments.append(.text(textStart..<text.count)) }
    return fragments
  }

  func id(of text: String) -> Int32? {
    var text = text
    return text.withUTF8 { text in
      guard let (id, end) = longestMatch(in: text, at: 0), end == text.count else { return nil }
      return id
    }
  }

  private func longestMatch(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (id: Int32, end: Int)? {
    var (node, index) = (0, start)
    var longest: (id: Int32, end: Int)?
    while index < text.count, let child = children[Edge(node: node, byte: text[index])] {
      (node, index) = (child, index + 1)
      if let id = tokenOfNode[node] { longest = (id, index) }
    }
    return longest
  }
}

/// The texts of tokens that end a turn or a text in the model families at hand, whatever the file says of them.
///
/// Those of llama.cpp, less the infill tokens, and only where the file marks the token as control or user defined.
let endOfGenerationTexts = [
  "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>", "<end_of_turn>", "<EOT>",
  "<｜end▁of▁sentence｜>",
]
