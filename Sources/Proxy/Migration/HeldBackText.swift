/// How far the text of a stream has come, in an engine that holds back the end of it: as many characters as could be the
/// beginning of a stop string, whatever they are. vLLM does so.
///
/// After an event that brings text, the text of all ids so far is what has been let out and `heldBack` characters more. A
/// stop string cannot begin in what has been let out: it would have been found. So another engine can go on after any ids
/// whose text has been let out in whole; what it says up to the end of that is known already.
///
/// Characters are Unicode scalars, as Python counts them. Source: vLLM 0.32, `vllm/v1/engine/detokenizer.py`.
package struct HeldBackText: Sendable {
  /// The text of this many ids is this long.
  private struct Mark {
    var ids: Int
    var length: Int
  }

  private let heldBack: Int
  /// Let out by the engine that is heard now; the one before it may have come further.
  private var letOut = 0
  private var furthest = 0
  /// The newest whose text has been let out in whole, and all after it.
  private var marks = [Mark(ids: 0, length: 0)]

  package init(heldBack: Int) { self.heldBack = heldBack }

  /// - Parameters: characters: that an event brought. ids: of the output, with the event's.
  package mutating func came(_ characters: Int, ids: Int) {
    guard characters > 0 else { return }
    letOut += characters
    furthest = max(furthest, letOut)
    marks.append(Mark(ids: ids, length: letOut + heldBack))
    while marks.count > 1, marks[1].length <= furthest { marks.removeFirst() }
  }

  /// Another engine goes on after the first `ids` ids of the output.
  /// - Returns: Those, and how many characters that are known already it will begin with.
  package mutating func rewind() -> (ids: Int, known: Int) {
    marks.removeLast(marks.count - 1)
    letOut = marks[0].length
    return (marks[0].ids, furthest - letOut)
  }
}
