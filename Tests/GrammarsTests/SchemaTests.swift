import Grammars
import ServingAPI
import TestSupport
import Testing

/// A schema allows what it says, and nothing else.
struct SchemaTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var schema: String
    var good: [String]
    var bad: [String]
    var testDescription: String { schema }
  }

  static let cases = [
    Case(
      schema: #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}"#,
      good: [#"{"a":1}"#, #"{"a": -20, "b": "x"}"#, "{\n  \"a\": 0\n}"],
      bad: ["{}", #"{"b":"x"}"#, #"{"a":1,"c":2}"#, #"{"a":"1"}"#, #"{"a":01}"#, #"{"a":1,}"#, #"{"b":"x","a":1}"#]),
    Case(
      schema: #"{"type":"object","properties":{"a":{},"b":{},"c":{}},"required":["b"]}"#,
      good: [#"{"b":1}"#, #"{"a":1,"b":2,"c":3}"#, #"{"b":[],"c":{"d":null}}"#, #"{"a":true,"b":"x"}"#],
      bad: [#"{"a":1}"#, #"{"a":1,"c":1}"#, #"{,"b":1}"#]),
    Case(
      schema: #"{"type":"object","properties":{"id":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}"#,
      good: [#"{}"#, #"{"id":1,"x":true}"#, #"{"i":true,"idx":false}"#],
      bad: [#"{"id":true}"#, #"{"x":1}"#, #"{"x":true,"id":1}"#, #"{"\u0069d":true}"#]),
    Case(
      schema: #"{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}"#,
      good: ["[1]", "[1,2,3]", "[1, 2]"], bad: ["[]", "[1,2,3,4]", "[1,]", #"["1"]"#]),
    Case(
      schema: #"{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}"#,
      good: [#"["a",1]"#], bad: [#"["a"]"#, #"["a",1,2]"#]),
    Case(
      schema: #"{"enum":["red","gr\"een",5,null,{"k":[1]}]}"#,
      good: [#""red""#, #""gr\"een""#, "5", "null", #"{"k":[1]}"#], bad: [#""blue""#, "55", "re"]),
    Case(schema: #"{"const":"x"}"#, good: [#""x""#], bad: [#""y""#]),
    Case(
      schema: #"{"anyOf":[{"type":"integer"},{"type":"null"}],"default":null,"title":"T"}"#, good: ["1", "null"],
      bad: ["1.5", "nul"]),
    Case(schema: #"{"type":["string","null"],"maxLength":2}"#, good: [#""ab""#, "null", #""é日""#], bad: [#""abc""#]),
    Case(
      schema:
        ##"{"$defs":{"N":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/N"},{"type":"null"}]}},"required":["v","next"]}},"$ref":"#/$defs/N"}"##,
      good: [#"{"v":1,"next":null}"#, #"{"v":1,"next":{"v":2,"next":null}}"#],
      bad: [#"{"v":1}"#, #"{"v":1,"next":{}}"#]),
    Case(
      schema: #"{"type":"string","pattern":"^[a-c]+\"x$"}"#, good: [#""ab\"x""#],
      bad: [#""ab"x""#, #""d\"x""#, #""\"x""#]),
    Case(schema: #"{"type":"string","pattern":"b"}"#, good: [#""abc""#, #""b""#], bad: [#""ac""#]),
    Case(
      schema: #"{"type":"string","format":"date"}"#, good: [#""2026-11-23""#], bad: [#""2026-13-01""#, #""today""#]),
    Case(
      schema: #"{"type":"integer","minimum":-5,"maximum":123}"#, good: ["-5", "-1", "0", "9", "10", "99", "123"],
      bad: ["-6", "124", "-0", "-10", "1000"]),
    Case(
      schema: #"{"type":"integer","exclusiveMinimum":17}"#, good: ["18", "20", "100", "1700"], bad: ["17", "9", "-18"]),
    Case(schema: #"{"type":"number","minimum":0}"#, good: ["0", "1.5", "2e10"], bad: ["-1", "1.", ".5"]),
    Case(
      schema: #"{"type":"string","minLength":2,"maxLength":3}"#, good: [#""ab""#, #""a\nb""#, #""日本語""#],
      bad: [#""a""#, #""abcd""#, "\"a\nb\""]),
    Case(schema: "{}", good: ["1", #"{"a":[1,{"b":"c"}]}"#, "[]"], bad: ["{a:1}", "[1 2]", "tru"]),
    Case(schema: "true", good: ["0"], bad: ["x"]),
  ]

  @Test(arguments: cases)
  func `A schema accepts what fits it and refuses what does not`(each: Case) throws {
    let grammar = try schema(each.schema)
    for text in each.good { #expect(grammar.accepts(text), "\(text)") }
    for text in each.bad { #expect(!grammar.accepts(text), "\(text)") }
  }

  @Test(arguments: [
    (#"{"type":"array","uniqueItems":true}"#, "uniqueItems"), (#"{"not":{}}"#, "not"),
    (#"{"type":"object","patternProperties":{}}"#, "patternProperties"),
    (#"{"type":"integer","multipleOf":2}"#, "multipleOf"),
    (#"{"type":"number","minimum":1}"#, "minimum"), (#"{"allOf":[{},{}]}"#, "allOf"),
    (#"{"type":"object","properties":{"a":{"type":"string","contentEncoding":"base64"}}}"#, "contentEncoding"),
    (#"{"$ref":"http://x"}"#, "$ref"), (#"{"anyOf":[{}],"type":"string"}"#, "type"),
  ])
  func `A keyword that is not read is named`(text: String, keyword: String) throws {
    let error = try #require(throws: GrammarError.self) { try schema(text) }
    #expect("\(error)".contains(keyword))
  }

  @Test(arguments: [
    "[", "5", "false", #"{"type":"strnig"}"#, ##"{"$ref":"#/nowhere"}"##, #"{"enum":[]}"#, ##"{"$ref":"#"}"##,
  ])
  func `What is no schema is an error`(text: String) {
    #expect(throws: GrammarError.self) { try schema(text) }
  }

  @Test func `Bounds on integers are exact`() throws {
    var dice = SplitMix64(seed: 5)
    for _ in 0..<12 {
      let low = Int.random(in: -300...300, using: &dice)
      let high = low + Int.random(in: 0...400, using: &dice)
      let grammar = try schema(#"{"type":"integer","minimum":\#(low),"maximum":\#(high)}"#)
      for value in stride(from: low - 12, through: high + 12, by: 3) {
        #expect(grammar.accepts("\(value)") == (low...high).contains(value), "\(value) in \(low)…\(high)")
      }
    }
  }

  @Test func `Whatever the dice choose of the mask is JSON`() throws {
    let object = try grammar(.jsonObject)
    var dice = SplitMix64(seed: 9)
    for length in 1...40 {
      let output = try #require(object.randomOutput(&dice, length: length))
      #expect(throws: Never.self) { try BodyParser.parse(output) }
      #expect(output.first == UInt8(ascii: "{"))
    }
  }

  @Test func `Without white space there is none`() throws {
    let text = #"{"type":"object","properties":{"a":{"type":"array"}}}"#
    let compact = try grammar(.jsonSchema(text), allowsWhitespace: false)
    #expect(compact.accepts(#"{"a":[1,2]}"#) && !compact.accepts(#"{"a": [1,2]}"#))
    #expect(try !schema(text).accepts(#"{"a":  [1,2]}"#), "and with it, little")
  }
}
