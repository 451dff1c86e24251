/// Numbers as people read them: three significant digits, a unit, thousands apart.
package enum Quantity {
  /// `850 µs`, `12.5 ms`, `1.25 s`, `12.5 min`, `2.5 h`.
  package static func time(_ seconds: Double) -> String {
    switch abs(seconds) {
    case 0: "0 s"
    case ..<0.000_999_5: "\(digits(seconds * 1e6)) µs"
    case ..<0.999_5: "\(digits(seconds * 1e3)) ms"
    case ..<599.5: "\(digits(seconds)) s"
    case ..<35_970: "\(digits(seconds / 60)) min"
    default: "\(digits(seconds / 3600)) h"
    }
  }

  /// Three significant digits, without zeros at the end: `0.0123`, `1.5`, `312`, `12,300`.
  package static func digits(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "–" : value < 0 ? "−∞" : "∞" }
    guard value != 0 else { return "0" }
    var places = 2
    var size = abs(value)
    while size >= 9.995, places > 0 { (size, places) = (size / 10, places - 1) }
    while size < 0.9995, places < 9 { (size, places) = (size * 10, places + 1) }
    return trimmed(fixed(value, places))
  }

  /// `12,345`
  package static func count(_ number: Int) -> String { grouped(String(number)) }

  /// `97.5 %`; never 100 % (0 %) unless it is all (none).
  package static func share(_ share: Double) -> String {
    if share > 0.999, share < 1 { return "> 99.9 %" }
    if share > 0, share < 0.001 { return "< 0.1 %" }
    return "\(trimmed(fixed(share * 100, 1))) %"
  }

  /// So many digits after the point, rounded half away from zero, thousands apart.
  package static func fixed(_ value: Double, _ places: Int) -> String {
    let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
    guard value.isFinite, abs(value) < 1e15 / scale else { return "\(value)" }
    let scaled = Int((abs(value) * scale).rounded())
    let sign = value < 0 && scaled > 0 ? "−" : ""
    let (whole, rest) = scaled.quotientAndRemainder(dividingBy: Int(scale))
    guard places > 0 else { return sign + grouped(String(whole)) }
    let fraction = String(rest)
    return sign + grouped(String(whole)) + "." + String(repeating: "0", count: places - fraction.count) + fraction
  }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    var text = text[...]
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return String(text)
  }

  private static func grouped(_ digits: String) -> String {
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }
}
