import KVBlocks

/// What an engine is, for its peers: two engines may exchange KV only if all but `engineID` are equal.
package struct KVIdentity: Sendable, Equatable {
  /// New at each start of the process, so that a handoff never meets a successor at the same address.
  package var engineID: String
  /// Names the weights: equal only if KV computed from the same tokens is the same.
  package var model: String
  /// Hash of the vocabulary: equal only if the same text gives the same tokens.
  package var tokenizer: String
  package var layout: KVLayout

  package init(engineID: String, model: String, tokenizer: String, layout: KVLayout) {
    self.engineID = engineID
    self.model = model
    self.tokenizer = tokenizer
    self.layout = layout
  }
}

extension KVIdentity {
  /// - Parameter peer: Its address, for the error's text.
  /// - Throws: The first field in which `remote` differs, with both values.
  func requireEqual(_ remote: KVIdentity, peer: String) throws(KVTransferError) {
    if model != remote.model { throw .modelMismatch(local: model, remote: remote.model, peer: peer) }
    if tokenizer != remote.tokenizer {
      throw .tokenizerMismatch(local: tokenizer, remote: remote.tokenizer, peer: peer)
    }
    if layout != remote.layout {
      throw .layoutMismatch(local: "\(layout)", remote: "\(remote.layout)", peer: peer)
    }
  }
}
