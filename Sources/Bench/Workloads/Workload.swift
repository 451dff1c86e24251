import ServingAPI

/// The requests of a run, in the order in which they are due.
package struct Workload: Sendable {
  /// For the report: what they are.
  package var description: String
  package var requests: [WorkloadRequest]
  /// How sure the prompts' token counts are.
  package var promptCounts: PromptCounts

  package init(description: String, requests: [WorkloadRequest], promptCounts: PromptCounts) {
    self.description = description
    self.requests = requests
    self.promptCounts = promptCounts
  }

  package enum PromptCounts: Sendable, Equatable {
    /// A local tokenizer made or counted every prompt.
    case exact
    /// The prompts are token ids, and so as long as they say.
    case tokenIDs
    /// Nobody here can count: only the server's `usage` knows.
    case unknown
  }
}

/// What one request asks for, whoever it is sent to.
package struct WorkloadRequest: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case text
    case tokenIDs
    case messages
  }

  package let kind: Kind
  /// The prompt as it stands in a body: a string, an array of ids, or an array of messages.
  package let promptJSON: [UInt8]
  /// nil if nobody here could count.
  package var promptTokens: Int?
  /// The most that may be generated; nil leaves it to the server.
  package var outputTokens: Int?
  /// Seconds after the trace's first request.
  package var recordedTime: Double?
  package var session: String?

  package init(text: String, promptTokens: Int?, outputTokens: Int?) {
    self.init(.text, .string(text), promptTokens, outputTokens)
  }

  package init(tokenIDs: [Int32], outputTokens: Int?) {
    self.init(.tokenIDs, BodyValue(tokenIDs), tokenIDs.count, outputTokens)
  }

  package init(messages: BodyValue, promptTokens: Int?, outputTokens: Int?) {
    self.init(.messages, messages, promptTokens, outputTokens)
  }

  private init(_ kind: Kind, _ prompt: BodyValue, _ promptTokens: Int?, _ outputTokens: Int?) {
    self.kind = kind
    promptJSON = prompt.encoded
    self.promptTokens = promptTokens
    self.outputTokens = outputTokens
  }
}
