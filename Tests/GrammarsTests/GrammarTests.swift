import Grammars
import ServingAPI
import TestSupport
import Testing

/// Regular expressions, choices, rules; and that masks tell what the bytes do.
struct GrammarTests {
  @Test(arguments: [
    (#"\d{3}-\d+"#, ["123-4", "000-99"], ["12-4", "123-", "123-a"]),
    ("(yes|no)!?", ["yes", "no!"], ["yesno", "y", "!"]),
    (#"[^a-z\]]+"#, ["A1", "é日"], ["a", "]", ""]),
    (#"a.c"#, ["abc", "a日c"], ["a\nc", "ac"]),
    (#"\w+@\w+\.(com|org)"#, ["me@x.org"], ["me@x.net", "@x.com"]),
    (#"x{0,2}y{2}"#, ["yy", "xxyy"], ["xxxyy", "y"]),
    (#"[à-ÿ]+"#, ["éà"], ["a", "日"]),
    (#"^(a|b)*$"#, ["", "abba"], ["c"]),
    (#"(a*)*"#, ["", "aaa"], ["b"]),
    (#"\u0041\x42"#, ["AB"], ["ab"]),
  ])
  func `An expression matches from end to end`(pattern: String, good: [String], bad: [String]) throws {
    let grammar = try grammar(.regex(pattern))
    for text in good { #expect(grammar.accepts(text), "\(text)") }
    for text in bad { #expect(!grammar.accepts(text), "\(text)") }
  }

  @Test(arguments: [
    "(", ")", "a{2,1}", "[b-a]", "(?=x)", #"\1"#, #"\b"#, "*", "[", #"\"#, "a{99999}", #"\p{L}"#, "[^\\d\\D]",
  ])
  func `What is no expression, or matches nothing, is an error`(pattern: String) {
    #expect(throws: GrammarError.self) { try grammar(.regex(pattern)) }
  }

  @Test func `A choice is one of its texts`() throws {
    let grammar = try grammar(.choice(["positive", "negative", "pos"]))
    #expect(grammar.accepts("pos") && grammar.accepts("positive") && !grammar.accepts("posi") && !grammar.accepts("x"))
    #expect(throws: GrammarError.self) { try self.grammarOfChoice([]) }
  }

  private func grammarOfChoice(_ texts: [String]) throws -> Grammar { try grammar(.choice(texts)) }

  @Test func `Rules may call themselves`() throws {
    let rules = #"""
      # sums
      root  ::= term ("+" term)*
      term  ::= [0-9]+ | "(" root ")" |
                "\"" [^"]{1,3} "\""
      """#
    let grammar = try grammar(.grammar(rules))
    for text in ["1", "12+3", "((1)+2)+3", #""ab"+1"#] { #expect(grammar.accepts(text), "\(text)") }
    for text in ["", "1+", "(1", "1)", #""abcd""#] { #expect(!grammar.accepts(text), "\(text)") }
  }

  @Test(arguments: [
    "", "root = 1", "root ::= x", "root ::= \"a", "root ::= (\"a\"", "root ::= \"a\"\nroot ::= \"b\"", "root ::= root",
  ])
  func `What is no grammar is an error`(rules: String) {
    #expect(throws: GrammarError.self) { try grammar(.grammar(rules)) }
  }

  @Test func `A rule that begins with itself ends all the same`() throws {
    let grammar = try grammar(.grammar("root ::= root \"+\" \"1\" | \"1\""))
    #expect(grammar.accepts("1+1+1") && !grammar.accepts("1+"))
  }

  @Test func `A mask is the tokens whose bytes may follow, one by one`() throws {
    let grammar = try schema(
      #"{"type":"object","properties":{"name":{"type":"string"},"n":{"type":"array","items":{"type":"number"}}}}"#)
    var dice = SplitMix64(seed: 3)
    for _ in 0..<20 {
      var matcher = grammar.matcher
      for _ in 0..<30 {
        let (words, _) = matcher.mask()
        for (id, piece) in pieces.enumerated() {
          var bytewise = matcher
          let follows =
            !piece.isEmpty
            && piece.allSatisfy { byte in
              defer { bytewise.advance(Int32(byte)) }
              return bytewise.mask().words.has(Int(byte))
            }
          guard piece.count > 1 || piece.isEmpty else { continue }
          #expect(words.has(id) == follows)
        }
        guard let next = pieces.indices.filter({ words.has($0) }).randomElement(using: &dice) else { break }
        matcher.advance(Int32(next))
      }
    }
  }

  @Test func `What is forgotten is found again`() throws {
    // Every level of nesting is a state of its own, so that the states outgrow what is kept.
    let grammar = try grammar(.jsonObject)
    let text = (0..<120).map { "{\"k\($0)\":[\"" + String(repeating: "v", count: $0 % 7) + "\"," }.joined()
    var (first, second) = (grammar.matcher, grammar.matcher)
    for byte in text.utf8 {
      let mask = first.mask()
      #expect(mask.words.has(Int(byte)))
      first.advance(Int32(byte))
    }
    for byte in text.utf8 { second.advance(Int32(byte)) }
    #expect(first.mask().words == second.mask().words)
  }

  @Test func `After an end, nothing may come`() throws {
    let grammar = try grammar(.choice(["a"]))
    var matcher = grammar.matcher
    matcher.advance(Int32(UInt8(ascii: "a")))
    let mask = matcher.mask()
    #expect(mask.canEnd && mask.words.allSatisfy { $0 == 0 })
    matcher.advance(Int32(pieces.count - 1))
    #expect(!matcher.mask().canEnd)
  }

  @Test(arguments: [
    "((((a{0,4000}){0,4000}){0,4000}){0,4000}){0,4000}", String(repeating: "(", count: 500), "(a|b|c|d){4000}{4000}",
  ])
  func `A grammar that would grow without bound is an error`(pattern: String) {
    #expect(throws: GrammarError.self) { try grammar(.regex(pattern)) }
  }

  @Test func `A grammar in which all is possible at once is answered all the same`() throws {
    let grammar = try grammar(.regex("(.{0,99}a.{0,99}){1,8}"))
    var matcher = grammar.matcher
    for byte in "aaaaaaaaaaaa".utf8 {
      #expect(matcher.mask().words.has(Int(byte)))
      matcher.advance(Int32(byte))
    }
  }
}
