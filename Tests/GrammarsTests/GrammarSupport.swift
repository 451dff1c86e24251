import Grammars
import ServingAPI
import TestSupport

/// Every byte as a token, and some tokens of several bytes that cross the borders of JSON.
let pieces: [[UInt8]] =
  (0..<256).map { [UInt8($0)] }
  + [
    "{\"", "\":", "\": ", "\",", "\", \"", "\"}", "}}", "]}", "true", "false", "null", "12", "-1", "0.5", "e+1", "name",
    "\\n", "é", "日本",
  ]
  .map { Array($0.utf8) } + [[]]

let vocabulary = GrammarVocabulary(pieces: pieces)

func grammar(_ kind: OutputConstraint.Kind, allowsWhitespace: Bool = true) throws(GrammarError) -> Grammar {
  let compiler = GrammarCompiler(vocabulary: vocabulary)
  return try compiler.grammar(
    for: OutputConstraint(kind, allowsWhitespace: allowsWhitespace, field: "structured_outputs"))
}

func schema(_ text: String) throws(GrammarError) -> Grammar { try grammar(.jsonSchema(text)) }

extension Grammar {
  /// Whether the text may be a whole output, written byte by byte.
  func accepts(_ text: String) -> Bool {
    var matcher = matcher
    for byte in text.utf8 {
      guard matcher.mask().words.has(Int(byte)) else { return false }
      matcher.advance(Int32(byte))
    }
    return matcher.mask().canEnd
  }

  /// An output of tokens that dice choose among those that may come; it ends where it may after `length` tokens.
  func randomOutput(_ dice: inout SplitMix64, length: Int) -> [UInt8]? {
    var (matcher, output) = (matcher, [UInt8]())
    for count in 0..<length * 50 {
      let (words, canEnd) = matcher.mask()
      let allowed = pieces.indices.filter { words.has($0) }
      if canEnd, count >= length || allowed.isEmpty { return output }
      // Towards the end, what closes.
      let closing = allowed.filter { count > length && "\"]}".utf8.contains(pieces[$0][0]) }
      guard let token = (closing.isEmpty ? allowed : closing).randomElement(using: &dice) else { return nil }
      matcher.advance(Int32(token))
      output += pieces[token]
    }
    return nil
  }
}

extension [UInt64] {
  func has(_ id: Int) -> Bool { self[id >> 6] >> UInt64(id & 63) & 1 == 1 }
}
