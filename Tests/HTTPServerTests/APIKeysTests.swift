import HTTPServer
import Testing

@Suite struct APIKeysTests {
  @Test(arguments: [
    ("Bearer one", true), ("bearer two", true), ("BEARER one", true), ("Bearer three", false), ("Bearer on", false),
    ("Bearer oneone", false), ("Bearer  one", false), ("Bearer ", false), ("Bearer", false), ("one", false),
    ("Basic one", false), (nil, false),
  ])
  func `One of the keys lets in, whatever the case of the scheme`(authorization: String?, isAccepted: Bool) {
    #expect(APIKeys(["one", "two"]).accept(authorization: authorization) == isAccepted)
  }

  @Test(arguments: [[], [""]])
  func `Without keys everybody is let in`(keys: [String]) {
    #expect(APIKeys(keys).accept(authorization: nil))
  }
}
