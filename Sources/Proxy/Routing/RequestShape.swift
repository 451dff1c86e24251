import NIOHTTP1

/// What routing may know of a request.
package struct RequestShape: Sendable, Equatable {
  /// Its number in the order of arrival, from 0.
  package var sequence: Int
  /// A hash of the session that the client names; nil if it names none.
  package var session: UInt64?
  package var prompt: PromptBlocks

  package init(sequence: Int, session: UInt64? = nil, prompt: PromptBlocks = .none) {
    self.sequence = sequence
    self.session = session
    self.prompt = prompt
  }

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  package init(sequence: Int, body: ClientBody?, headers: HTTPHeaders, looksAt rules: ShapeRules) {
    self.sequence = sequence
    session = rules.session.flatMap { $0.session(of: headers) ?? body?.session($0) }
    prompt = rules.prompt ? body?.prompt ?? .none : .none
  }
}

/// What of a request the configured policies need: nothing else is read.
package struct ShapeRules: Sendable {
  package var session: SessionKeys?
  package var prompt: Bool

  package init(session: SessionKeys?, prompt: Bool) {
    self.session = session
    self.prompt = prompt
  }
}

/// Where a client may name its session; the first that is there counts, header fields before body fields.
package struct SessionKeys: Sendable {
  package var headers = ["x-session-id"]
  package var fields = ["session_id", "prompt_cache_key", "user"]

  package init() {}

  func session(of request: HTTPHeaders) -> UInt64? {
    for name in headers {
      if let value = request.first(name: name), !value.isEmpty { return StableHash.hash(value) }
    }
    return nil
  }
}

extension ClientBody {
  func session(_ keys: SessionKeys) -> UInt64? {
    for name in keys.fields {
      let hash = withValue(of: name) { value -> UInt64? in
        if value.count <= 4, value.elementsEqual("null".utf8) || value.elementsEqual("\"\"".utf8) { return nil }
        // As a header's value, without quotes.
        let isQuoted = value.first == UInt8(ascii: "\"")
        return StableHash.hash(isQuoted ? UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast()) : value)
      }
      if let hash = hash ?? nil { return hash }
    }
    return nil
  }

  /// Tools and instructions stand before the messages in chat templates, and adapters of a model have KV of their own.
  var prompt: PromptBlocks? {
    let seed = ["model", "tools", "system", "instructions"].reduce(UInt64(0)) { seed, name in
      withValue(of: name) { StableHash.hash($0, seed: seed) } ?? StableHash.mix(seed &+ 1)
    }
    return withValue(of: "messages") { PromptBlocks($0, seed: seed) }
      ?? withValue(of: "prompt") { PromptBlocks($0, seed: ~seed) }
      ?? withValue(of: "input") { PromptBlocks($0, seed: seed) }
  }
}
