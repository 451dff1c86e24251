import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private func blocks(_ text: String, seed: UInt64 = 0) -> PromptBlocks {
  Array(text.utf8).withUnsafeBytes { PromptBlocks($0, seed: seed) }
}

@Suite struct PromptBlocksTests {
  @Test func `Equal prefixes have equal hashes as far as they go, and no further`() {
    let stem = String(repeating: "The same words. ", count: 96)
    let (one, two) = (blocks(stem + "And then this."), blocks(stem + String(repeating: "!", count: 512)))
    #expect(one.hashes.count == 3 && two.hashes.count == 4)
    #expect(one.hashes == Array(two.hashes.prefix(3)))
    let other = blocks("t" + stem.dropFirst())
    #expect(Set(other.hashes).isDisjoint(with: one.hashes))
    #expect(Set(blocks(stem, seed: 1).hashes).isDisjoint(with: one.hashes))
  }

  @Test(
    arguments: [
      ("\"abcdefgh\"", 3), ("[1, 20, 300]", 3), ("[ 1]", 1), ("[\"a, b\"]", 2), ("[{\"role\":\"user\"}]", 5), ("", 0),
    ])
  func `Tokens are counted where they are ids, and estimated where they are text`(text: String, tokens: Int) {
    #expect(blocks(text).tokens == tokens)
  }

  @Test func `A prompt without end costs no more than its first blocks`() {
    let prompt = blocks(String(repeating: "x", count: 1 << 20))
    #expect(prompt.hashes.count == PromptBlocks.mostBlocks && prompt.bytes == 1 << 20)
  }

  @Test(
    arguments: [
      (#"{"model":"m","prompt":"P"}"#, #"{"prompt":"P","max_tokens":3,"model":"m"}"#, true),
      (#"{"model":"m","prompt":"P"}"#, #"{"model":"n","prompt":"P"}"#, false),
      (#"{"messages":["P"]}"#, #"{"messages":["P"],"tools":[1]}"#, false),
    ])
  func `What decides the KV is in the hash, and nothing else`(first: String, second: String, isSame: Bool) throws {
    let rules = ShapeRules(session: nil, prompt: true)
    let text = String(repeating: "p", count: 600)
    let shapes = try [first, second].map { body in
      let body = try ClientBody(ByteBuffer(string: body.replacing("P", with: text)))
      return RequestShape(sequence: 0, body: body, headers: [:], looksAt: rules)
    }
    #expect(shapes.allSatisfy { $0.prompt.hashes.count == 1 })
    #expect((shapes[0].prompt.hashes == shapes[1].prompt.hashes) == isSame)
  }
}

@Suite struct SeenPrefixesTests {
  @Test func `A prompt is known as far as it was seen`() {
    var seen = SeenPrefixes(capacity: 10)
    seen.insert([1, 2, 3])
    #expect(seen.length(of: [1, 2, 3, 4]) == 3 && seen.length(of: [1, 2]) == 2)
    #expect(seen.length(of: [1, 9]) == 1 && seen.length(of: [9]) == 0 && seen.length(of: []) == 0)
  }

  @Test func `The oldest leaf leaves first, and a stem in use stays`() {
    var seen = SeenPrefixes(capacity: 4)
    seen.insert([1, 2, 3])
    seen.insert([1, 4])
    #expect(seen.count == 4)
    seen.insert([1, 5])
    #expect(seen.length(of: [1, 2, 3]) == 2 && seen.length(of: [1, 4]) == 2 && seen.length(of: [1, 5]) == 2)
  }

  /// Against a list that does the same slowly.
  @Test func `At random it behaves as a list of the most recent blocks`() {
    var dice = TestDice(seed: 9)
    var seen = SeenPrefixes(capacity: 32)
    var recent: [UInt64] = []
    for _ in 0..<5_000 {
      // A path in a tree of 3 children a node: the hash is the path.
      var path: [UInt64] = []
      var node: UInt64 = 1
      for _ in 0..<Int.random(in: 0...6, using: &dice) {
        node = node * 4 + UInt64.random(in: 0..<3, using: &dice)
        path.append(node)
      }
      #expect(seen.length(of: path) == path.prefix { recent.contains($0) }.count)
      seen.insert(path)
      recent.removeAll { path.contains($0) }
      recent = Array((path + recent).prefix(32))
      #expect(seen.count == recent.count)
    }
  }

  @Test func `A million different prompts take no more than the capacity`() {
    var seen = SeenPrefixes(capacity: 1_000)
    for number in 0..<1_000_000 as Range<UInt64> { seen.insert([number, number + (1 << 40)]) }
    #expect(seen.count == 1_000)
    #expect(seen.length(of: [999_999, 999_999 + (1 << 40)]) == 2 && seen.length(of: [0]) == 0)
  }
}
