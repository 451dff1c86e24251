import ServingAPI
import Synchronization

/// Makes grammars of what requests ask for, and keeps the newest: those who ask for one schema, ask for it again.
/// A `Mutex` guards what is kept.
package final class GrammarCompiler: Sendable {
  private struct Kept {
    var grammars: [OutputConstraint: (grammar: Grammar, use: Int)] = [:]
    var uses = 0
  }

  private static let mostKept = 32

  private let vocabulary: GrammarVocabulary
  private let kept = Mutex(Kept())

  package init(vocabulary: GrammarVocabulary) { self.vocabulary = vocabulary }

  package func grammar(for constraint: OutputConstraint) throws(GrammarError) -> Grammar {
    if let grammar = recall(constraint) { return grammar }
    let grammar = try Grammar(rules: try Self.rules(of: constraint), vocabulary: vocabulary)
    keep(grammar, for: constraint)
    return grammar
  }

  private func recall(_ constraint: OutputConstraint) -> Grammar? {
    kept.withLock { kept in
      kept.uses += 1
      kept.grammars[constraint]?.use = kept.uses
      return kept.grammars[constraint]?.grammar
    }
  }

  private func keep(_ grammar: Grammar, for constraint: OutputConstraint) {
    kept.withLock { kept in
      kept.grammars[constraint] = (grammar, kept.uses)
      guard kept.grammars.count > Self.mostKept else { return }
      let oldest = kept.grammars.min { $0.value.use < $1.value.use }
      if let oldest { kept.grammars[oldest.key] = nil }
    }
  }

  static func rules(of constraint: OutputConstraint) throws(GrammarError) -> [Expression] {
    switch constraint.kind {
    case .jsonObject:
      return try JSONSchemaCompiler.rules(of: ["type": "object"], allowsWhitespace: constraint.allowsWhitespace)
    case .jsonSchema(let text):
      guard let schema = try? BodyParser.parse(Array(text.utf8)) else { throw .invalid("The schema is not JSON.") }
      return try JSONSchemaCompiler.rules(of: schema, allowsWhitespace: constraint.allowsWhitespace)
    case .regex(let pattern): return [try RegexParser.parse(pattern)]
    case .choice(let texts):
      guard !texts.isEmpty, texts.count <= JSONSchemaCompiler.mostAlternatives else {
        throw .invalid("choice needs 1 to \(JSONSchemaCompiler.mostAlternatives) texts, not \(texts.count).")
      }
      return [.choice(texts.map { .literal($0) })]
    case .grammar(let text): return try GBNFParser.parse(text)
    }
  }
}
