import EngineBench
import Testing

struct BenchTestTests {
  @Test(arguments: [
    ("pp512", BenchTest(.prefill, tokens: 512)), ("pp512@1024", BenchTest(.prefill, tokens: 512, depth: 1024)),
    ("tg64", BenchTest(.decode(batch: 1), tokens: 64)),
    ("tg64@1024", BenchTest(.decode(batch: 1), tokens: 64, depth: 1024)),
    ("tg64x8", BenchTest(.decode(batch: 8), tokens: 64)),
    ("tg1x32@7", BenchTest(.decode(batch: 32), tokens: 1, depth: 7)),
  ])
  func `A name says what a test does, and a test its name`(name: String, test: BenchTest) {
    #expect(BenchTest(name: name) == test)
    #expect(test.description == name)
  }

  @Test(arguments: [
    "", "pp", "tg", "512", "xx512", "pp0", "pp-1", "pp+1", "pp 1", "pp512x8", "tg64x", "tg64x0", "tgx8", "tg64x8x8",
    "pp512@", "pp512@@1", "pp512@0", "tg64@1024x8", "pp512,tg64", "tg64x99999", "pp99999999999999999999", "pp٣",
  ])
  func `Anything else is no test`(name: String) {
    #expect(BenchTest(name: name) == nil)
  }

  @Test(arguments: [
    ([3.0], 3.0, 3.0, 3.0), ([5, 1, 3], 3, 1, 5), ([4, 1, 2, 9], 3, 1, 9),
  ])
  func `A spread is the middle and both ends`(samples: [Double], median: Double, min: Double, max: Double) {
    let spread = Spread(samples)
    #expect(spread.median == median && spread.min == min && spread.max == max)
  }
}
