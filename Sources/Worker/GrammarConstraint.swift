import Engine
import Grammars
import ServingAPI

/// A grammar as the engine knows it: which tokens may come, and nothing of text.
struct GrammarConstraint: TokenConstraint {
  private var matcher: GrammarMatcher

  init(_ grammar: Grammar) { matcher = grammar.matcher }

  mutating func mask() -> TokenMask {
    let (words, canEnd) = matcher.mask()
    return TokenMask(words: words, canEnd: canEnd)
  }

  mutating func advance(_ token: Int32) { matcher.advance(token) }
}

extension ServedModel {
  /// - Throws: A 400 that names the field and what is wrong with it.
  func constraint(_ wanted: OutputConstraint?) throws(APIError) -> (any TokenConstraint)? {
    guard let wanted else { return nil }
    do {
      return GrammarConstraint(try grammars.grammar(for: wanted))
    } catch {
      throw .badValue("\(error)", param: wanted.field)
    }
  }
}
