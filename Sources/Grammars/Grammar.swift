import Synchronization

/// A grammar compiled for one vocabulary, with the masks that were worked out so far. All requests with the same grammar
/// share it: a `Mutex` guards what it has learnt, and whoever asks works out what is missing.
package final class Grammar: Sendable {
  private struct Learnt {
    var automaton: Automaton
    var masks: [Automaton.State: [UInt64]] = [:]
    /// Counts how often all was forgotten.
    var generation = 0
  }

  /// States and masks that are kept; beyond it, all are forgotten and begun anew.
  private static let mostStates = 4096
  private static let mostMasks = 512

  private let program: GrammarProgram
  private let vocabulary: GrammarVocabulary
  private let learnt: Mutex<Learnt>

  init(rules: [Expression], vocabulary: GrammarVocabulary) throws(GrammarError) {
    program = try GrammarProgram(rules: rules)
    self.vocabulary = vocabulary
    let automaton = Automaton(program)
    guard automaton.start != Automaton.dead else { throw .matchesNothing }
    learnt = Mutex(Learnt(automaton: automaton))
  }

  /// Before an output's first token.
  package var matcher: GrammarMatcher { GrammarMatcher(grammar: self) }

  /// Where an output stands.
  struct Place: Sendable {
    var state: Automaton.State
    var generation: Int
  }

  func mask(after output: [Int32], _ place: inout Place?) -> (words: [UInt64], canEnd: Bool) {
    learnt.withLock { learnt in
      if learnt.automaton.stateCount > Self.mostStates || learnt.masks.count > Self.mostMasks {
        learnt = Learnt(automaton: Automaton(program), generation: learnt.generation + 1)
      }
      let state = current(after: output, &place, &learnt)
      let words = learnt.masks[state] ?? vocabulary.mask(from: state, in: &learnt.automaton)
      learnt.masks[state] = words
      return (words, learnt.automaton.accepts(state))
    }
  }

  func advance(_ place: inout Place?, by token: Int32, after output: [Int32]) {
    learnt.withLock { learnt in
      let state = current(after: output, &place, &learnt)
      place = Place(state: step(state, token, &learnt.automaton), generation: learnt.generation)
    }
  }

  /// States are numbered anew when all is forgotten: the output says which one it is in.
  private func current(after output: [Int32], _ place: inout Place?, _ learnt: inout Learnt) -> Automaton.State {
    if let place, place.generation == learnt.generation { return place.state }
    let state = output.reduce(learnt.automaton.start) { step($0, $1, &learnt.automaton) }
    place = Place(state: state, generation: learnt.generation)
    return state
  }

  private func step(_ state: Automaton.State, _ token: Int32, _ automaton: inout Automaton) -> Automaton.State {
    guard let bytes = vocabulary.bytes(of: token) else { return Automaton.dead }
    return bytes.reduce(state) { automaton.step($0, $1) }
  }
}

/// How far one output has come in a grammar: a value, which each request has for itself.
package struct GrammarMatcher: Sendable {
  private let grammar: Grammar
  private var output: [Int32] = []
  private var place: Grammar.Place?

  init(grammar: Grammar) { self.grammar = grammar }

  /// What may come next: bit `id % 64` of word `id / 64`; and whether the output may end here.
  package mutating func mask() -> (words: [UInt64], canEnd: Bool) { grammar.mask(after: output, &place) }

  /// A token that may not come, as an end token, leaves nothing that may.
  package mutating func advance(_ token: Int32) {
    grammar.advance(&place, by: token, after: output)
    output.append(token)
  }
}
