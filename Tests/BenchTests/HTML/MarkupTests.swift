import Bench
import Testing

struct MarkupTests {
  @Test(arguments: [
    ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ("\" onload='x' a=\"", "&quot; onload=&#39;x&#39; a=&quot;"),
    ("&lt;", "&amp;lt;"),
    ("a\u{0}b\u{1B}[31m\u{7F}c\r\n\td", "a\u{FFFD}b\u{FFFD}[31m\u{FFFD}c\u{FFFD}\n\td"),
    ("ü 模型 🚀", "ü 模型 🚀"),
  ])
  func `Text is escaped`(text: String, expected: String) {
    #expect(("<b title=\"\(text)\">\(text)</b>" as Markup).text == "<b title=\"\(expected)\">\(expected)</b>")
  }

  @Test func `Markup in markup is escaped once`() {
    let inner: Markup = "<i>\("<")</i>"
    #expect(("<p>\(inner)\([inner, inner])</p>" as Markup).text == "<p><i>&lt;</i><i>&lt;</i><i>&lt;</i></p>")
  }

  @Test(arguments: [
    (1.0, "1"), (1.25, "1.3"), (-0.04, "0"), (-1.5, "-1.5"), (0.96, "1"), (.nan, "0"), (.infinity, "0"), (1e300, "0"),
  ])
  func `A coordinate has a tenth at most`(value: Double, expected: String) {
    #expect(("\(value)" as Markup).text == expected)
  }
}
