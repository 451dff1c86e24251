import Foundation
import HTTPTestSupport
import ServingAPI
import Testing

private func edited(_ json: String, _ edits: [JSONEdit]) throws -> String {
  var out: [UInt8] = []
  try Array(json.utf8).withUnsafeBytes { bytes in
    try JSONObject(scanning: bytes).edited(bytes, edits) { out.append(contentsOf: $0) }
  }
  return String(decoding: out, as: UTF8.self)
}

private func isObject(_ bytes: [UInt8]) -> Bool { (try? bytes.withUnsafeBytes { try JSONObject(scanning: $0) }) != nil }

@Suite struct JSONEditTests {
  @Test(arguments: [
    (#"{"a":1,"b":2}"#, #"{"a":1}"#),
    (#"{"b":2,"a":1}"#, #"{"a":1}"#),
    (#"{"b":2}"#, "{}"),
    (#"{ "a" : 1 , "b" : [ {} ] , "c" : "x" }"#, #"{ "a" : 1 , "c" : "x" }"#),
    (#"{"b":1,"a":1,"b":2}"#, #"{"a":1}"#),
    (#"{"\u0062":1,"a":"\"b\""}"#, #"{"a":"\"b\""}"#),
    ("{}", "{}"),
  ])
  func `A removed field leaves with one comma, at all its places`(json: String, expected: String) throws {
    #expect(try edited(json, [.remove("b")]) == expected)
  }

  @Test(arguments: [
    (#"{"a":1}"#, #"{"a":1,"b":9}"#),
    ("{}", #"{"b":9}"#),
    (" { } ", #" {"b":9 } "#),
    (#"{"b": 1,"a":1}"#, #"{"b": 9,"a":1}"#),
    (#"{"b":1,"a":2,"b" : 3 }"#, #"{"a":2,"b" : 9 }"#),
  ])
  func `A set field stands once, where it was last or at the end`(json: String, expected: String) throws {
    #expect(try edited(json, [.set("b", "9")]) == expected)
  }

  @Test func `Replace changes only what is there`() throws {
    #expect(try edited(#"{"a":1}"#, [.replace("b", "9")]) == #"{"a":1}"#)
    #expect(try edited(#"{"a":1,"b":null}"#, [.replace("b", "9"), .remove("a")]) == #"{"b":9}"#)
  }

  @Test func `Of a repeated field the last value counts`() throws {
    let json = Array(#"{"a":1,"a":[2, 3]}"#.utf8)
    let range = try json.withUnsafeBytes { try JSONObject(scanning: $0).value(of: "a") }
    #expect(range.map { String(decoding: json[$0], as: UTF8.self) } == "[2, 3]")
  }

  @Test(arguments: ["[1,2]", "[ \"a\" , [\"b\",{}] ]", "[]", "[1]"])
  func `An array's elements are found where they are`(json: String) throws {
    let bytes = Array(json.utf8)
    let elements = try bytes.withUnsafeBytes { try JSONArray(scanning: $0).elements }
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any]
    #expect(elements.count == parsed?.count)
    #expect(throws: JSONSyntaxError.self) { try Array("[1,]".utf8).withUnsafeBytes { try JSONArray(scanning: $0) } }
  }

  @Test(arguments: [
    "", "[]", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{a:1}"#, #"{"a":01}"#, #"{"a":1.}"#, #"{"a":+1}"#,
    #"{"a":.5}"#,
    #"{"a":1e}"#, #"{"a":NaN}"#, #"{"a":"x}"#, #"{"a":"\x"}"#, #"{"a":"\u12g4"}"#, "{\"a\":\"\u{01}\"}", #"{"a":tru}"#,
    #"{"a":1}}"#, #"{"a":1} x"#, #"{"a":[1 2]}"#, #"{"a":[1}}"#, "\u{FEFF}{}", #"{"a":'x'}"#, #"{"a":1,,"b":2}"#,
  ])
  func `What is not one JSON object is refused`(json: String) { #expect(!isObject(Array(json.utf8))) }

  @Test(
    arguments: [
      [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF], [0xE2, 0x82], [0x80],
      [0xF0, 0x80, 0x80, 0x80],
    ] as [[UInt8]])
  func `Bytes that are not UTF-8 are refused`(text: [UInt8]) {
    let begin = Array(#"{"a":"0123456789abcdef"#.utf8)
    #expect(!isObject(begin + text + Array(#""}"#.utf8)))
  }

  @Test func `Depth and number of fields are bounded`() {
    let deep = #"{"a":"# + String(repeating: "[", count: 100_000)
    #expect(!isObject(Array(deep.utf8)))
    let wide = "{" + Array(repeating: #""a":1"#, count: 5000).joined(separator: ",") + "}"
    #expect(!isObject(Array(wide.utf8)))
    let fine = #"{"a":"# + String(repeating: "[", count: 500) + String(repeating: "]", count: 500) + "}"
    #expect(isObject(Array(fine.utf8)))
  }

  @Test func `2000 mutated bodies are accepted exactly when Foundation accepts them`() throws {
    let seeds = [
      #"{"model":"m","prompt":"Größe \u20ac \n","max_tokens":16,"temperature":0.7,"stream":true}"#,
      #"{ "messages" : [ { "role":"user", "content":"hi" } ], "n": -1.5e+3, "x": [null,false,{"y":[]}] }"#,
    ]
    let alphabet = Array(#"{}[]",:\u0129eE+-.tfn "#.utf8) + [0x00, 0x80, 0xC3, 0xFF]
    var random = TestDice(seed: 7)
    var accepted = 0
    for round in 0..<2000 {
      var bytes = Array(seeds[round % 2].utf8)
      for _ in 0...Int.random(in: 0...2, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let byte = alphabet.randomElement(using: &random)!
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = byte
        case 1: bytes.insert(byte, at: place)
        default: bytes.remove(at: place)
        }
      }
      let ours = isObject(bytes)
      let theirs = (try? JSONSerialization.jsonObject(with: Data(bytes))) is [String: Any]
      // Foundation forgives a comma before a closing bracket and refuses a lone surrogate; RFC 8259 says otherwise.
      let text = String(decoding: bytes, as: UTF8.self)
      if text.contains(/,\s*[}\]]/) || text.contains(/\\u[dD][89a-fA-F]/) { continue }
      if ours { accepted += 1 }
      #expect(ours == theirs, "\(text)")
    }
    #expect(accepted > 100)
  }
}
