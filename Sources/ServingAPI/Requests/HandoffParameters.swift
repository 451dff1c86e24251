/// `kv_transfer_params` of a request: what the router asks of this worker's KV, in vLLM's words.
package enum HandoffParameters: Sendable, Equatable {
  /// Absent, null, or neither flag set.
  case none
  /// `do_remote_decode`: compute the prompt's KV and publish it for a decoder.
  case produce
  /// `do_remote_prefill`: fetch the prompt's KV from the prefiller that published it.
  case consume(HandoffTicket)

  /// - Throws: A 400 that names the field: a decoder must never guess which blocks are meant.
  package init(_ value: BodyValue?) throws(APIError) {
    guard let value, value != .null else {
      self = .none
      return
    }
    let path = "body.kv_transfer_params"
    guard case .object(let fields) = value else {
      throw ValidationProblem(.dictType, at: path, input: value).error
    }
    var reader = FieldReader(fields, at: path)
    let isProduce = reader.bool("do_remote_decode") ?? false
    let isConsume = reader.bool("do_remote_prefill") ?? false
    try reader.finish()
    switch (isProduce, isConsume) {
    case (true, true):
      throw .badValue(
        "kv_transfer_params cannot ask for both: prefill here (do_remote_decode) and prefill elsewhere "
          + "(do_remote_prefill).", param: "kv_transfer_params.do_remote_prefill")
    case (true, false): self = .produce
    case (false, true): self = .consume(try HandoffTicket(fields))
    case (false, false): self = .none
    }
  }
}

/// The claim ticket as it travels through the router: the prefiller's response carries it, and the router puts it,
/// unread, into the decoder's request. Its place in vLLM: `NixlConnector`'s `request_finished`.
package struct HandoffTicket: Sendable, Equatable {
  package var engineID: String
  /// `cmpl-…-0-<handoff id>`: ours end with the 32 hex digits that the prefiller knows the blocks by.
  package var requestID: String
  package var host: String
  package var port: Int
  package var blocks: [Int]
  package var tokens: Int
  /// Of the prompt, how many tokens the prefiller took from its own prefix cache.
  package var cachedTokens = 0
  /// Our own key, `xpyd_early`: the KV is still being computed.
  package var isEarly = false

  package init(engineID: String, requestID: String, host: String, port: Int, blocks: [Int], tokens: Int) {
    self.engineID = engineID
    self.requestID = requestID
    self.host = host
    self.port = port
    self.blocks = blocks
    self.tokens = tokens
  }

  /// The last part of `requestID`.
  package var handoffID: Substring { Self.handoffID(of: requestID) }

  private static func handoffID(of requestID: String) -> Substring { requestID.split(separator: "-").last ?? "" }

  /// The body of `POST /kv/release`: `{"remote_request_id": …}`, as the ticket has it.
  package static func handoffID(inReleaseOf fields: BodyValue.Fields) throws(APIError) -> String {
    var reader = FieldReader(fields)
    let requestID = reader.requiredString("remote_request_id")
    try reader.finish()
    return String(handoffID(of: requestID))
  }

  init(_ fields: BodyValue.Fields) throws(APIError) {
    var reader = FieldReader(fields, at: "body.kv_transfer_params")
    engineID = reader.requiredString("remote_engine_id")
    requestID = reader.requiredString("remote_request_id")
    host = reader.requiredString("remote_host")
    port = reader.requiredInt("remote_port", in: 1...65_535)
    blocks = reader.requiredBlockIDs("remote_block_ids")
    tokens = reader.requiredInt("remote_num_tokens", in: 1...Int(Int32.max))
    cachedTokens = reader.int("remote_prefill_cached_tokens") ?? 0
    isEarly = reader.bool("xpyd_early") ?? false
    for key in ["tp_size", "dcp_size", "pp_size"] where (reader.int(key) ?? 1) != 1 {
      reader.refuse(key, "Input should be 1: this worker's KV blocks are not split over ranks")
    }
    if let mode = reader.string("transfer_mode"), mode != "pull" {
      reader.refuse("transfer_mode", "Input should be 'pull'")
    }
    try reader.finish()
  }

  /// As a prefiller's response carries it: the keys of vLLM's recordings in their order.
  package var json: BodyValue {
    var fields = BodyValue.Fields()
    fields.append("do_remote_prefill", true)
    fields.append("do_remote_decode", false)
    fields.append("remote_block_ids", .array([.array(blocks.map { BodyValue($0) })]))
    fields.append("remote_engine_id", .string(engineID))
    fields.append("remote_request_id", .string(requestID))
    fields.append("remote_host", .string(host))
    fields.append("remote_port", BodyValue(port))
    for key in ["tp_size", "dcp_size", "pp_size"] { fields.append(key, 1) }
    fields.append("remote_num_tokens", BodyValue(tokens))
    fields.append("remote_blocks_expiry_time", .null)
    fields.append("transfer_mode", "pull")
    fields.append("remote_prefill_cached_tokens", BodyValue(cachedTokens))
    if isEarly { fields.append("xpyd_early", true) }
    return .object(fields)
  }
}
