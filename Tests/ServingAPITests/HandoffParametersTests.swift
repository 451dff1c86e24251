import Testing

import ServingAPI

struct HandoffParametersTests {
  private let ticket: BodyValue = [
    "do_remote_prefill": true, "do_remote_decode": false, "remote_block_ids": [[1, 2]],
    "remote_engine_id": "ca11dbd1-75c9-4268-b74b-6b0dc50cf84c", "remote_request_id": "cmpl-b2ad-0-891eb7a9",
    "remote_host": "127.0.0.1", "remote_port": 5600, "tp_size": 1, "dcp_size": 1, "pp_size": 1,
    "remote_num_tokens": 168, "remote_blocks_expiry_time": nil, "transfer_mode": "pull",
    "remote_prefill_cached_tokens": 0,
  ]

  private func with(_ key: String, _ value: BodyValue?) -> BodyValue {
    guard case .object(var fields) = ticket else { return .null }
    fields[key] = value
    return .object(fields)
  }

  @Test func `vLLM's ticket is read, and written with the same keys in the same order`() throws {
    guard case .consume(let parsed) = try HandoffParameters(ticket) else {
      Issue.record("no ticket")
      return
    }
    #expect(parsed.blocks == [1, 2])
    #expect(parsed.handoffID == "891eb7a9")
    #expect(parsed.json == ticket)
  }

  @Test func `A prefill request carries only its flag`() throws {
    let asked: BodyValue = [
      "do_remote_decode": true, "do_remote_prefill": false, "remote_engine_id": nil, "remote_block_ids": nil,
    ]
    #expect(try HandoffParameters(asked) == .produce)
  }

  @Test(arguments: [BodyValue?.none, .some(nil), .some([:]), .some(["do_remote_prefill": false])])
  func `Without a flag nothing is asked`(value: BodyValue?) throws {
    #expect(try HandoffParameters(value) == HandoffParameters.none)
  }

  @Test(arguments: [
    ("remote_block_ids", BodyValue?.none), ("remote_request_id", nil), ("remote_engine_id", nil), ("remote_host", nil),
    ("remote_port", nil), ("remote_num_tokens", nil), ("remote_port", .some("x")), ("remote_port", .some(0)),
    ("remote_port", .some(70_000)), ("remote_host", .some(5)), ("remote_block_ids", .some([1, 2])),
    ("remote_block_ids", .some("all")), ("remote_block_ids", .some([[1], [2]])), ("remote_block_ids", .some([[-1]])),
    ("remote_num_tokens", .some(-4)), ("remote_num_tokens", .some(.number(1.5))), ("tp_size", .some(2)),
    ("transfer_mode", .some("push")), ("do_remote_prefill", .some("perhaps")),
  ])
  func `A malformed ticket is a 400 that names the field`(key: String, value: BodyValue?) throws {
    let error = try #require(throws: APIError.self) { try HandoffParameters(with(key, value)) }
    #expect(error.status == 400)
    #expect(error.message.contains("body.kv_transfer_params.\(key)"))
  }

  @Test func `A ticket that asks for both directions is refused`() throws {
    #expect(throws: APIError.self) { try HandoffParameters(with("do_remote_decode", true)) }
  }
}
