import KVBlocks
import Models

/// How many new tokens a step takes if nobody says: as many as are computed in a quarter of a second. Every running
/// stream waits that long for the prompts in its step; larger steps would not be computed faster.
package enum StepBudget {
  private static let secondsPerStep = 0.25
  private static let bounds = 128...2048
  private static let granularity = 32

  /// - Parameter maxSequences: Each of them must have room for its next token.
  package static func tokens(perSecond rate: Double, maxSequences: Int) -> Int {
    let affordable = Int(min(rate * secondsPerStep, Double(bounds.upperBound))) / granularity * granularity
    return max(affordable, bounds.lowerBound, maxSequences)
  }

  /// Prefill tokens a second, of a probe of some tenths of a second: a few tokens, and more if those were quick.
  /// - Parameter kv: Nobody else's yet; what is in its first blocks is lost.
  static func prefillRate(of model: any LanguageModel, kv: KVMemory) -> Double {
    let room = min(model.contextLength, kv.blockCount * kv.layout.blockSize)
    var rate = 0.0
    for tokens in [16, 64] where rate == 0 || (tokens <= room && Double(tokens) / rate < secondsPerStep) {
      rate = probe(min(tokens, room), model, kv)
    }
    return rate
  }

  private static func probe(_ tokens: Int, _ model: any LanguageModel, _ kv: KVMemory) -> Double {
    var batch = ForwardBatch()
    batch.tokens = Array(0..<Int32(tokens)).map { $0 % Int32(clamping: model.vocabularySize) }
    let blocks = (0..<Int32(kv.layout.blocks(forTokens: tokens))).map { KVBlockID($0) }
    batch.sequences = [.init(rows: 0..<tokens, startPosition: 0, blockTable: blocks)]
    let time = ContinuousClock().measure {
      model.forward(batch, kv: kv, logits: UnsafeMutableBufferPointer(start: nil, count: 0))
    }
    return Double(tokens) / max(time / .seconds(1), 1e-9)
  }
}
