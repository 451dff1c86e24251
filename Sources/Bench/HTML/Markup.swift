/// A piece of HTML or SVG. Text that goes into a literal is escaped; only another `Markup` goes in as it is. So a model
/// name or an error text can never become a tag, an attribute or an entity.
package struct Markup: Equatable, Sendable {
  package private(set) var text: String

  /// - Parameter trusted: Markup that this program wrote, such as its style sheet.
  init(trusted: String) { text = trusted }

  static func + (left: Markup, right: Markup) -> Markup { Markup(trusted: left.text + right.text) }
}

extension Markup: ExpressibleByStringInterpolation {
  package init(stringLiteral value: String) { text = value }

  package init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

  package struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = ""

    package init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

    package mutating func appendLiteral(_ literal: String) { text += literal }

    package mutating func appendInterpolation(_ markup: Markup) { text += markup.text }

    package mutating func appendInterpolation(_ markup: [Markup]) { for piece in markup { text += piece.text } }

    /// Escaped for the content of an element and for a quoted attribute. What no document may hold (control
    /// characters) becomes U+FFFD.
    package mutating func appendInterpolation(_ string: String) {
      for scalar in string.unicodeScalars {
        switch scalar {
        case "&": text += "&amp;"
        case "<": text += "&lt;"
        case ">": text += "&gt;"
        case "\"": text += "&quot;"
        case "'": text += "&#39;"
        case "\n", "\t": text.unicodeScalars.append(scalar)
        case _ where scalar.properties.generalCategory == .control: text += "\u{FFFD}"
        default: text.unicodeScalars.append(scalar)
        }
      }
    }

    package mutating func appendInterpolation(_ number: Int) { text += String(number) }

    /// A coordinate in pixels, to a tenth.
    package mutating func appendInterpolation(_ coordinate: Double) { text += Markup.coordinate(coordinate) }
  }

  /// To a tenth of a pixel, without a useless `.0`; 0 for what is no number.
  static func coordinate(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "0" }
    let tenths = Int((value * 10).rounded())
    let sign = tenths < 0 ? "-" : ""
    let (whole, rest) = abs(tenths).quotientAndRemainder(dividingBy: 10)
    return rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(rest)"
  }
}
