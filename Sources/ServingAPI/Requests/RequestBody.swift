/// The object that every POST body is.
package enum RequestBody {
  /// - Parameter contentType: the header's value, if there is one.
  package static func parse(_ bytes: [UInt8], contentType: String?) throws(APIError) -> BodyValue.Fields {
    let mediaType = (contentType ?? "").split(separator: ";").first.map { $0.lowercased() } ?? ""
    guard mediaType.trimmingSpaces == MediaTypes.json else { throw .unsupportedMediaType }
    guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) else {
      throw ValidationProblem(.missing, at: "body", input: .null).error
    }
    let value: BodyValue
    do {
      value = try BodyParser.parse(bytes)
    } catch {
      throw ValidationProblem(.jsonInvalid(error.reason), at: "body.\(error.offset)", input: [:]).error
    }
    guard case .object(let fields) = value else {
      throw ValidationProblem(.notAnObject, at: "body", input: value).error
    }
    return fields
  }
}

extension String {
  fileprivate var trimmingSpaces: Substring {
    var text = self[...]
    while text.first == " " || text.first == "\t" { text.removeFirst() }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return text
  }
}
