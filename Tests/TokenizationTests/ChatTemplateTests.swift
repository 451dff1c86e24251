import Testing
import Tokenization

struct ChatTemplateTests {
  @Test(arguments: [
    ("{{ a|frobnicate }}", "the filter 'frobnicate'", 1, 6),
    ("x\n{{ a is frobnicated }}", "the test 'frobnicated'", 2, 9),
    ("{% frobnicate %}", "the statement 'frobnicate'", 1, 4),
    ("{% if false %}\n  {{ 'a'.encode() }}{% endif %}", "the method 'encode'", 2, 9),
    ("{% for x in y recursive %}{% endfor %}", "'for … recursive'", 1, 4),
    ("{{ f(*a) }}", "'*' before an argument", 1, 6),
    ("{{ 0x10 }}", "the number '0x10'", 1, 4),
    ("{% include 'a' %}", "the statement 'include'", 1, 4),
  ])
  func `A construct that it does not know is named before anything is rendered`(
    source: String, construct: String, line: Int, column: Int
  ) {
    do {
      _ = try ChatTemplate(source: source)
      Issue.record("\(source) was accepted")
    } catch {
      guard case .unsupported(construct, let position) = error else {
        Issue.record("\(error)")
        return
      }
      #expect((position.line, position.column) == (line, column))
    }
  }

  @Test func `An error while rendering names the place and the reason`() throws {
    let template = try ChatTemplate(source: "a\nb {{ 'x' + missing.content }}")
    #expect {
      try template.render([:])
    } throws: { error in
      guard case .evaluation(let what, let position) = error as? TemplateError else { return false }
      return what == "'missing' is undefined" && position.line == 2
    }
  }

  @Test func `What the template refuses is told in its own words`() throws {
    let template = try ChatTemplate(source: "{{ raise_exception('Only users, please') }}")
    #expect(throws: TemplateError.raised("Only users, please")) { try template.render([:]) }
  }

  @Test func `Messages, tokens and tools are found under the names of transformers`() throws {
    let template = try ChatTemplate(
      source: "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}"
        + "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ mood }}")
    let text = try template.render(
      messages: [["role": "user", "content": "Hi"]], addGenerationPrompt: true, bosToken: "<s>", eosToken: "</s>",
      extra: ["mood": "good"])
    #expect(text == "<s>user:Hi</s>TrueTrueTruegood")
  }

  @Test func `A dictionary keeps its order, and takes different code points for different keys`() throws {
    let template = try ChatTemplate(source: "{{ d|tojson }}")
    let value: TemplateValue = ["z": 1, "e\u{301}": 2, "\u{E9}": 3, "a": 4]
    #expect(
      try template.render(["d": value]).utf8.elementsEqual(
        "{\"z\": 1, \"e\u{301}\": 2, \"\u{E9}\": 3, \"a\": 4}".utf8))
  }
}
