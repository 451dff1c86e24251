import Foundation
import Testing
import Tokenization

/// Templates come with model files: none may crash, hang or fill the memory.
struct ChatTemplateHostileTests {
  @Test(arguments: [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ range(100001) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
    "{{ 'x' * 99999999999 }}", "{{ [0] * 9223372036854775807 }}", "{{ 'ab' * 9223372036854775807 }}",
    "{{ 2 ** 99999999 }}", "{{ 9223372036854775807 + 1 }}", "{{ 9223372036854775807 * 2 }}",
    "{{ ('a' * 9999999).replace('a', 'b' * 9999) }}",
    "{{ ('a' * 999999)|list|join('b' * 999999) }}",
    "{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}",
    "{{ [1]|tojson(indent=999999999) }}", "{{ 'a\nb'|indent(999999999) }}",
    "{% macro m(n) %}{% call m(n) %}{% endcall %}{% endmacro %}{{ m(1) }}",
    "{{ " + String(repeating: "(", count: 9999) + "1" + String(repeating: ")", count: 9999) + " }}",
    "{{ " + String(repeating: "not ", count: 99999) + "1 }}", "{{ " + String(repeating: "-", count: 99999) + "1 }}",
    "{{ 1" + String(repeating: " + 1", count: 99999) + " }}", "{{ a" + String(repeating: ".a", count: 99999) + " }}",
    "{{ a" + String(repeating: "|trim", count: 99999) + " }}",
    "{{ 1" + String(repeating: " if 1", count: 99999) + " }}",
    String(repeating: "{% if 1 %}", count: 9999) + String(repeating: "{% endif %}", count: 9999),
    "{% set " + String(repeating: "(", count: 9999) + "a" + String(repeating: ")", count: 9999) + " = 1 %}",
  ])
  func `A template that asks for too much is stopped`(source: String) {
    #expect {
      try ChatTemplate(source: source).render([:])
    } throws: { error in
      if case .limit = error as? TemplateError { true } else { false }
    }
  }

  @Test(arguments: [
    "{{ -9223372036854775807 - 1 }}", "{{ (-9223372036854775807 - 1) // -1 }}", "{{ (-9223372036854775807 - 1) % -1 }}",
    "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1)|abs }}", "{{ 1e308 * 10 }}",
    "{{ (1e308 * 10)|int }}",
    "{{ 'abc'[-9223372036854775807 - 1] }}", "{{ 'abc'[::9223372036854775807] }}",
    "{{ 'abc'[::-9223372036854775807] }}",
    "{{ range(9223372036854775806, 9223372036854775807, 5)|list }}",
    "{{ range(1, -9223372036854775807, -9223372036854775807) }}",
    "{{ '%d' % 1e300 }}", "{{ strftime_now('%') }}", "{{ strftime_now('%1000000000d') }}", "{{ ''|first }}",
    "{{ ''|title }}",
    "{% set ns = namespace() %}{% set ns.me = ns %}", "{{ [range] }}", "{{ '{' .format() }}", "{{ '{9}'.format(1) }}",
  ])
  func `Extreme values give a text or an error`(source: String) {
    _ = try? ChatTemplate(source: source).render([:])
  }

  @Test func `The deepest evaluation fits a small stack`() async throws {
    let source =
      "{% macro m(n) %}{% if true %}{% for x in [1] %}{{ '' ~ (m(n + 1)|trim) }}{% endfor %}{% endif %}{% endmacro %}{{ m(0) }}"
    let error = await withCheckedContinuation { continuation in
      let thread = Thread {
        do throws(TemplateError) {
          _ = try ChatTemplate(source: source).render([:])
          continuation.resume(returning: TemplateError?.none)
        } catch {
          continuation.resume(returning: error)
        }
      }
      thread.stackSize = 512 << 10
      thread.start()
    }
    #expect(error?.label == "template_limit")
  }

  @Test func `2,000 mutated templates give a text or an error`() throws {
    let conversations = try ChatTemplateFixtures.json("template_conversations.json").entries
    let folder = ChatTemplateFixtures.folder.appending(path: "chat_templates")
    var sources = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    if ChatTemplateFixtures.hasModels {
      sources += try FileManager.default.contentsOfDirectory(
        at: ChatTemplateFixtures.modelsFolder, includingPropertiesForKeys: nil)
    }
    let texts = try sources.filter { $0.pathExtension == "jinja" }.sorted { $0.path < $1.path }
      .map { Array(try Data(contentsOf: $0)) }
    var random = SplitMix64(state: 20_260_729)
    var rendered = 0
    for round in 0..<2000 {
      let source = mutated(texts[round % texts.count], using: &random)
      let context = conversations[round / texts.count % conversations.count].value
      guard let template = try? ChatTemplate(source: String(decoding: source, as: UTF8.self)) else { continue }
      if (try? template.render(context.variables)) != nil { rendered += 1 }
    }
    #expect((100..<1900).contains(rendered), "\(rendered) rendered: the mutations are too weak or too strong")
  }

  private func mutated(_ source: [UInt8], using random: inout SplitMix64) -> [UInt8] {
    let scraps = [
      "{%", "%}", "{{", "}}", "-", "'", "(", ")", "[", "|", ".", " not ", "{% endfor %}", "{% else %}", "9", "\n", "#}",
    ]
    var bytes = source
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0..<max(bytes.count, 1), using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.removeSubrange(place..<min(place + Int.random(in: 1...40, using: &random), bytes.count))
      case 2: bytes.insert(contentsOf: scraps.randomElement(using: &random)!.utf8, at: min(place, bytes.count))
      case 3: bytes.insert(contentsOf: bytes[place..<min(place + 60, bytes.count)], at: place)
      default: bytes.removeSubrange(min(place + 2000, bytes.count)...)
      }
    }
    return bytes
  }
}

private struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}
