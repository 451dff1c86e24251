import CLinux
import KVBlocks
import KVTransfer
import TestSupport
import Testing

@Suite struct WireTests {
  @Test func `CRC32C is that of RFC 3720`() {
    #expect(xs_crc32c(0, "123456789", 9) == 0xE306_9283)
    #expect(xs_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
    #expect(xs_crc32c(0, [UInt8](repeating: 0xFF, count: 32), 32) == 0x62A8_AB43)
  }

  @Test(arguments: [0, 1, 7, 8, 4095, 16383, 16384, 16391, 100_003])
  func `CRC32C by instruction, by table and in two parts are equal`(count: Int) {
    var dice = SplitMix64(seed: UInt64(count))
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &dice) }
    let whole = xs_crc32c(0, bytes, count)
    #expect(whole == xs_crc32c_by_table(0, bytes, count))
    let head = count / 3
    #expect(whole == xs_crc32c(xs_crc32c(0, bytes, head), Array(bytes[head...]), count - head))
  }

  @Test(arguments: [0, 1, 63, 64, 255, 256, 4096, 16_384, 65_536, 262_144, 368_640, 100_003])
  func `A copy past the caches is memcpy, and its checksum that of the bytes`(count: Int) {
    var dice = SplitMix64(seed: UInt64(count))
    let bytes = (0..<count + 64).map { _ in UInt8.random(in: 0...255, using: &dice) }
    for (from, to) in [(0, 0), (3, 0), (0, 5), (7, 33)] {
      let source = Array(bytes[from..<from + count])
      var (plain, checked) = ([UInt8](repeating: 9, count: count + 64), [UInt8](repeating: 9, count: count + 64))
      var checksum: UInt32 = 0
      bytes.withUnsafeBytes { bytes in
        plain.withUnsafeMutableBytes { xs_copy_streaming($0.baseAddress! + to, bytes.baseAddress! + from, count) }
        checked.withUnsafeMutableBytes {
          checksum = xs_copy_streaming_crc32c(77, $0.baseAddress! + to, bytes.baseAddress! + from, count)
        }
      }
      let expected = [UInt8](repeating: 9, count: to) + source + [UInt8](repeating: 9, count: 64 - to)
      #expect(plain == expected && checked == expected)
      #expect(checksum == xs_crc32c_by_table(77, source, count))
    }
  }

  @Test func `Bodies come back as they were sent`() throws {
    let hello = HelloBody(versions: 1...3, nonce: Array(0..<32), engineID: "é", host: "")
    #expect(try HelloBody(decoding: hello.encoded) == hello)
    let claimed = ClaimedBody(tokens: 9, blocks: [3, 1, 4])
    #expect(try ClaimedBody(decoding: claimed.encoded) == claimed)
    let located = LocatedBody(name: "agent", base: 1 << 40, metadata: [9, 8])
    #expect(try LocatedBody(decoding: located.encoded) == located)
    let data = DataBody(first: 2, count: 2, checksums: [7, 8])
    #expect(try DataBody(decoding: data.encoded) == data)
    let reserve = ReserveBody(key: PromptKey([1, 2], salt: "s"), tokens: 1 << 40, waitMilliseconds: 7)
    #expect(try ReserveBody(decoding: reserve.encoded) == reserve)
    let refused = RefusedBody(.tooLarge, needed: 5, capacity: 4, text: "é")
    #expect(try RefusedBody(decoding: refused.encoded) == refused)
    let offer = OfferBody(id: Array(0..<16), engineID: "e", host: "::1", port: 65_535, tokens: 3)
    #expect(try OfferBody(decoding: offer.encoded) == offer)
    let reject = RejectBody(reason: .version, versions: 4...5)
    #expect(try RejectBody(decoding: reject.encoded) == reject)
    let ready = ReadyBody(unixName: "name", poolBlocks: 12)
    #expect(try ReadyBody(decoding: ready.encoded) == ready)
  }

  @Test func `A handoff's id is 32 hexadecimal digits and nothing else`() {
    let text = "00112233445566778899aabbccddeeff"
    #expect(KVHandoff.ID(text).bytes?.first == 0 && KVHandoff.ID(text).bytes?.last == 0xFF)
    for wrong in ["", "0", text + "0", text.uppercased(), String(text.dropLast()) + "g", "é" + text.dropFirst(2)] {
      #expect(KVHandoff.ID(wrong).bytes == nil)
    }
  }
}
