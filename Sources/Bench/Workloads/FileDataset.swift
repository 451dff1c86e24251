import ServingAPI
import Tokenization

/// How a file of texts becomes a workload.
package struct FileSampling: Sendable {
  package var requests: Int
  package var shuffled = true
  /// Draws again from the file if it holds too few.
  package var oversamples = true
  /// For all requests, whatever the file says.
  package var outputTokens: Int?
  /// Counts prompts; without it only the server can.
  package var tokenizer: Tokenizer?

  package init(requests: Int) { self.requests = requests }

  /// `requests` of the samples, in the file's order.
  func fill(_ samples: [WorkloadRequest], using dice: inout some RandomNumberGenerator) -> [WorkloadRequest] {
    var chosen = Array(samples.prefix(requests))
    while oversamples, !chosen.isEmpty, chosen.count < requests { chosen.append(samples.randomElement(using: &dice)!) }
    return chosen
  }

  func count(_ text: String) -> Int? {
    tokenizer?.encode(text, addSpecial: true, parseSpecial: false).count
  }

  var promptCounts: Workload.PromptCounts { tokenizer == nil ? .unknown : .exact }
}

/// `sharegpt`: the first turn of each conversation is the prompt, and the second's length the output's.
package enum ShareGPTDataset {
  /// - Parameter file: A JSON array of objects with `conversations`, a list of `{"value": …}`.
  package static func workload(
    _ file: [UInt8], _ sampling: FileSampling, using dice: inout some RandomNumberGenerator
  ) throws(BenchError) -> Workload {
    guard let entries = try? BodyParser.parse(file).arrayValue else {
      throw .badWorkload("The file is no ShareGPT dataset: it is no JSON array.")
    }
    var pairs: [(prompt: String, answer: String)] = entries.compactMap { entry in
      guard let turns = entry["conversations"]?.arrayValue, turns.count >= 2,
        let prompt = turns[0]["value"]?.stringValue,
        let answer = turns[1]["value"]?.stringValue
      else { return nil }
      return (prompt, answer)
    }
    if sampling.shuffled { pairs.shuffle(using: &dice) }
    var samples: [WorkloadRequest] = []
    for (prompt, answer) in pairs where samples.count < sampling.requests {
      // Without a tokenizer, four bytes a token.
      let promptTokens = sampling.count(prompt) ?? prompt.utf8.count / 4
      let outputTokens = sampling.outputTokens ?? sampling.count(answer) ?? answer.utf8.count / 4
      guard isUsual(promptTokens, outputTokens, isOutputGiven: sampling.outputTokens != nil) else { continue }
      samples.append(
        WorkloadRequest(
          text: prompt, promptTokens: sampling.tokenizer == nil ? nil : promptTokens, outputTokens: outputTokens))
    }
    return Workload(
      description: "sharegpt: first turns of conversations", requests: sampling.fill(samples, using: &dice),
      promptCounts: sampling.promptCounts)
  }

  /// vLLM's pruning: prompts of 4 to 1024 tokens, answers of 4 or more, 2048 together.
  private static func isUsual(_ prompt: Int, _ output: Int, isOutputGiven: Bool) -> Bool {
    (4...1024).contains(prompt) && (isOutputGiven || output >= 4) && prompt + output <= 2048
  }
}

/// `custom`: JSON lines with a `prompt`, or with `messages` for chat; `output_tokens` and `session` where they are
/// given.
package enum CustomDataset {
  /// - Parameters:
  ///   - sampling: Its output length is for lines without `output_tokens`, but wins over them if `overridesLength`.
  ///   - render: Wraps a prompt in the model's chat template, if it is to be.
  package static func workload(
    _ file: [UInt8], _ sampling: FileSampling, overridesLength: Bool, render: (String) throws(BenchError) -> String,
    using dice: inout some RandomNumberGenerator
  ) throws(BenchError) -> Workload {
    var samples: [WorkloadRequest] = []
    for (number, line) in file.split(separator: UInt8(ascii: "\n")).enumerated() {
      guard let row = try? BodyParser.parse(Array(line)) else {
        throw .badWorkload("Line \(number + 1) of the dataset is no JSON.")
      }
      let own = row["output_tokens"]?.intValue
      let outputTokens = overridesLength ? sampling.outputTokens ?? own : own ?? sampling.outputTokens
      var sample: WorkloadRequest
      if let prompt = row["prompt"]?.stringValue {
        let text = try render(prompt)
        sample = WorkloadRequest(text: text, promptTokens: sampling.count(text), outputTokens: outputTokens)
      } else if let messages = row["messages"], messages.arrayValue?.isEmpty == false {
        sample = WorkloadRequest(messages: messages, promptTokens: nil, outputTokens: outputTokens)
      } else {
        throw .badWorkload("Line \(number + 1) of the dataset has neither a text prompt nor messages.")
      }
      sample.session = row["session"]?.stringValue
      samples.append(sample)
    }
    if sampling.shuffled { samples.shuffle(using: &dice) }
    return Workload(
      description: "custom: \(samples.count) prompts", requests: sampling.fill(samples, using: &dice),
      promptCounts: sampling.promptCounts)
  }
}
