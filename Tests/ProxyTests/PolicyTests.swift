import HTTPTestSupport
import NIOCore
import NIOHTTP1
import Proxy
import Testing

private func loads(_ running: [Int], seen: [Int] = []) -> [WorkerLoad] {
  running.indices.map {
    WorkerLoad(identity: StableHash.hash("w\($0)"), running: running[$0], seenBytes: seen.isEmpty ? 0 : seen[$0])
  }
}

private func shape(_ sequence: Int = 0, session: Int? = nil, promptBytes: Int = 0) -> RequestShape {
  let text = Array(repeating: UInt8(ascii: "x"), count: promptBytes)
  return RequestShape(
    sequence: sequence, session: session.map { StableHash.hash("\($0)") },
    prompt: text.withUnsafeBytes { PromptBlocks($0, seed: 0) })
}

@Suite struct PolicyTests {
  @Test(arguments: PolicyKind.allCases)
  func `Nobody is picked of nobody, and one worker of one`(kind: PolicyKind) {
    var dice = TestDice(seed: 1)
    let policy = kind.policy(after: 2)
    #expect(policy.pick(from: [], for: shape(session: 1), using: &dice) == nil)
    #expect(policy.pick(from: loads([9]), for: shape(), using: &dice) == 0)
  }

  @Test(arguments: PolicyKind.allCases)
  func `Idle workers get equal shares`(kind: PolicyKind) {
    var dice = TestDice(seed: 2)
    var counts = [0, 0, 0, 0]
    for number in 0..<8_000 {
      let request = shape(number, session: number)
      counts[kind.policy(after: 0).pick(from: loads([0, 0, 0, 0]), for: request, using: &dice)!] += 1
    }
    // Five standard deviations of a fair draw are 194.
    #expect(counts.allSatisfy { abs($0 - 2_000) < 194 }, "\(counts)")
  }

  @Test(arguments: PolicyKind.allCases)
  func `Two prefillers and two decoders meet in all four pairs`(kind: PolicyKind) {
    var dice = TestDice(seed: 3)
    var pairs: [[Int]: Int] = [:]
    let decoders = (0..<2).map { WorkerLoad(identity: StableHash.hash("d\($0)"), running: 0) }
    for number in 0..<400 {
      let request = shape(number, session: number)
      let prefiller = kind.policy(after: 0).pick(from: loads([0, 0]), for: request, using: &dice)!
      pairs[[prefiller, kind.policy(after: 2).pick(from: decoders, for: request, using: &dice)!], default: 0] += 1
    }
    #expect(pairs.count == 4 && pairs.values.allSatisfy { $0 > 50 }, "\(pairs)")
  }

  @Test(
    arguments: [
      ("round_robin", .roundRobin), ("power_of_two", .powerOfTwo), ("cache_aware", .prefixAware),
      ("prefix-aware", .prefixAware), ("consistent_hash", .consistentHash), ("consistent_hashing", .consistentHash),
      ("random", .random), ("least-loaded", .leastLoaded), ("fastest", nil), ("", nil),
    ] as [(String, PolicyKind?)])
  func `Policies go by our names and by those of other routers`(name: String, kind: PolicyKind?) {
    #expect(PolicyKind(named: name) == kind)
  }

  @Test(arguments: [([3, 1, 2], [1]), ([0, 5, 0], [0, 2]), ([4, 4, 4], [0, 1, 2])] as [([Int], Set<Int>)])
  func `The least loaded worker is picked, of several each one now and then`(running: [Int], expected: Set<Int>) {
    var dice = TestDice(seed: 4)
    let picked = (0..<100).compactMap { _ in LeastLoaded().pick(from: loads(running), for: shape(), using: &dice) }
    #expect(Set(picked) == expected)
  }

  @Test func `Of two choices the less loaded wins, so the most loaded of three is never picked`() {
    var dice = TestDice(seed: 5)
    let picked = (0..<300).compactMap { _ in PowerOfTwo().pick(from: loads([1, 2, 3]), for: shape(), using: &dice) }
    #expect(Set(picked) == [0, 1] && picked.filter { $0 == 0 }.count > picked.filter { $0 == 1 }.count)
  }
}

@Suite struct ConsistentHashTests {
  private static func place(_ session: Int, _ workers: [WorkerLoad]) -> UInt64 {
    var dice = TestDice(seed: UInt64(session))
    let index = ConsistentHash().pick(from: workers, for: shape(session: session), using: &dice)!
    return workers[index].identity
  }

  @Test func `A worker that leaves moves its own sessions only, and to all the others`() {
    let workers = loads([0, 0, 0, 0, 0])
    let rest = workers.filter { $0 != workers[2] }
    var heirs: [UInt64: Int] = [:]
    for session in 0..<5_000 {
      let before = Self.place(session, workers)
      let after = Self.place(session, rest)
      if before == workers[2].identity { heirs[after, default: 0] += 1 } else { #expect(after == before) }
    }
    #expect(heirs.count == 4 && heirs.values.allSatisfy { (150...350).contains($0) }, "\(heirs)")
  }

  @Test func `Proxies agree whatever the order of their workers, and loads are no matter`() {
    let workers = loads([0, 5, 9, 1])
    let others = workers.reversed().map { WorkerLoad(identity: $0.identity, running: 7, seenBytes: 1) }
    for session in 0..<500 { #expect(Self.place(session, workers) == Self.place(session, others)) }
  }

  @Test func `A hash is the same in every process`() {
    #expect(StableHash.hash("session-1") == 12_683_506_203_797_880_801)
  }

  @Test func `A request without a session goes to the least loaded`() {
    var dice = TestDice(seed: 6)
    #expect(ConsistentHash().pick(from: loads([2, 1, 3]), for: shape(), using: &dice) == 1)
  }

  @Test(
    arguments: [
      (["x-session-id": "a"], #"{"user":"b"}"#, "a"), (["X-Session-ID": "a"], "{}", "a"),
      ([:], #"{"user":"b","session_id":"c"}"#, "c"), ([:], #"{"session_id":null,"user":"b"}"#, "b"),
      ([:], #"{"user":7}"#, "7"), ([:], #"{"user":""}"#, nil), (["x-session-id": ""], "{}", nil), ([:], "{}", nil),
    ] as [(HTTPHeaders, String, String?)])
  func `A session is named by the first header or body field that is there`(
    headers: HTTPHeaders, body: String, session: String?
  ) throws {
    let rules = ShapeRules(session: SessionKeys(), prompt: false)
    let body = try ClientBody(ByteBuffer(string: body))
    let shape = RequestShape(sequence: 0, body: body, headers: headers, looksAt: rules)
    #expect(shape.session == session.map { StableHash.hash($0) })
  }
}

@Suite struct PrefixAwareTests {
  @Test(
    arguments: [
      // running, seen of 1,000 bytes, picked
      ([0, 0, 0], [0, 512, 256], [1]),
      ([8, 0, 0], [512, 0, 0], [0]),
      ([9, 0, 0], [512, 0, 0], [1, 2]),
      ([30, 20, 20], [512, 0, 0], [0]),
      ([31, 20, 20], [512, 0, 0], [1, 2]),
      ([0, 0, 0], [256, 0, 0], [0, 1, 2]),
      ([5, 2, 0], [512, 512, 0], [1]),
      ([9, 0, 4], [768, 0, 512], [2]),
    ] as [([Int], [Int], Set<Int>)])
  func `Most of the prompt wins unless that worker is far ahead`(running: [Int], seen: [Int], expected: Set<Int>) {
    var dice = TestDice(seed: 7)
    let request = shape(promptBytes: 1_000)
    let picked = (0..<50).compactMap { _ in
      PrefixAware().pick(from: loads(running, seen: seen), for: request, using: &dice)
    }
    #expect(Set(picked) == expected)
  }

  @Test func `A prefix that everybody sends does not flood the worker that saw it first`() {
    var dice = TestDice(seed: 8)
    let request = shape(promptBytes: 1_000)
    var running = [0, 0, 0, 0]
    var seen = [768, 0, 0, 0]
    for _ in 0..<2_000 {
      let worker = PrefixAware().pick(from: loads(running, seen: seen), for: request, using: &dice)!
      running[worker] += 1
      seen[worker] = 768
      if Int.random(in: 0..<3, using: &dice) == 0 {
        let done = Int.random(in: 0..<4, using: &dice)
        running[done] = max(0, running[done] - 1)
      }
      let least = running.min()!
      #expect(running.max()! <= max(least + PrefixAware.slack, least + least / 2) + 2)
    }
    #expect(seen.allSatisfy { $0 == 768 })
  }
}
