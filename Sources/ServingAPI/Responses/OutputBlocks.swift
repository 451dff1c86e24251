/// An output as a row of blocks, each of text or of one call of a tool, as `/v1/responses` and `/v1/messages` have it: a
/// value, fed with what each token adds.
package struct OutputBlocks: Sendable, Equatable {
  package enum Block: Sendable, Equatable {
    case text(String)
    case call(ToolCallDelta)
  }

  /// What became of the block at `index`.
  package enum Step: Sendable, Equatable {
    /// It begins, and is empty.
    case opened(index: Int, Block)
    case gainedText(index: Int, String)
    case gainedArguments(index: Int, String)
    /// It is whole.
    case closed(index: Int, Block)
  }

  package private(set) var blocks: [Block] = []
  private var isOpen = false

  package init() {}

  package var hasCalls: Bool { blocks.contains { if case .call = $0 { true } else { false } } }

  package mutating func take(text: String, calls: [ToolCallDelta]) -> [Step] {
    var steps: [Step] = []
    if !text.isEmpty {
      if case .text? = blocks.last, isOpen {} else { open(.text(""), &steps) }
      if case .text(let before)? = blocks.last { blocks[blocks.count - 1] = .text(before + text) }
      steps.append(.gainedText(index: blocks.count - 1, text))
    }
    for call in calls { take(call, &steps) }
    return steps
  }

  private mutating func take(_ delta: ToolCallDelta, _ steps: inout [Step]) {
    if delta.id != nil { open(.call(ToolCallDelta(index: delta.index, id: delta.id, name: delta.name)), &steps) }
    guard !delta.arguments.isEmpty, case .call(var call)? = blocks.last else { return }
    call.arguments += delta.arguments
    blocks[blocks.count - 1] = .call(call)
    steps.append(.gainedArguments(index: blocks.count - 1, delta.arguments))
  }

  /// An output without anything is one empty text.
  package mutating func end() -> [Step] {
    var steps: [Step] = []
    if blocks.isEmpty { open(.text(""), &steps) }
    close(&steps)
    return steps
  }

  private mutating func open(_ block: Block, _ steps: inout [Step]) {
    close(&steps)
    blocks.append(block)
    isOpen = true
    steps.append(.opened(index: blocks.count - 1, block))
  }

  private mutating func close(_ steps: inout [Step]) {
    if isOpen, let last = blocks.last { steps.append(.closed(index: blocks.count - 1, last)) }
    isOpen = false
  }
}
