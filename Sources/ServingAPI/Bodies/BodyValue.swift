/// A JSON value of a request or response body; objects keep their keys' order, as vLLM's recordings have theirs.
package enum BodyValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([BodyValue])
  case object(Fields)

  /// The members of an object in order. A key that a client sent twice counts once, with its last value.
  package struct Fields: Sendable, Equatable {
    package private(set) var members: [(key: String, value: BodyValue)] = []
    /// Where each key stands first; empty while there are so few that a look at all of them is as quick.
    private var places: [String: Int] = [:]
    private static let fewMembers = 32

    package init() {}

    package var keys: [String] { members.map(\.key) }

    package subscript(key: String) -> BodyValue? {
      get { place(of: key).map { members[$0].value } }
      set {
        switch (place(of: key), newValue) {
        case (let place?, let value?): members[place].value = value
        case (let place?, nil):
          members.remove(at: place)
          places = [:]
          notePlaces(from: 0)
        case (nil, let value?): append(key, value)
        case (nil, nil): break
        }
      }
    }

    /// Appends without a look at the keys before: for builders and parsers that know there is no duplicate.
    mutating func append(_ key: String, _ value: BodyValue) {
      members.append((key, value))
      notePlaces(from: places.isEmpty ? 0 : members.count - 1)
    }

    private func place(of key: String) -> Int? {
      places.isEmpty ? members.firstIndex { $0.key == key } : places[key]
    }

    private mutating func notePlaces(from start: Int) {
      guard members.count > Self.fewMembers else { return }
      for place in start..<members.count where places[members[place].key] == nil { places[members[place].key] = place }
    }

    package static func == (left: Self, right: Self) -> Bool {
      left.members.elementsEqual(right.members) { $0.key == $1.key && $0.value == $1.value }
    }
  }

  package subscript(key: String) -> BodyValue? {
    guard case .object(let fields) = self else { return nil }
    return fields[key]
  }

  package var stringValue: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var arrayValue: [BodyValue]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }
}

extension BodyValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  package init(dictionaryLiteral elements: (String, BodyValue)...) {
    var fields = Fields()
    for (key, value) in elements { fields.append(key, value) }
    self = .object(fields)
  }
  package init(arrayLiteral elements: BodyValue...) { self = .array(elements) }
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(nilLiteral: ()) { self = .null }
}

extension BodyValue {
  package init(_ value: Int) { self = .integer(Int64(value)) }
  package init(_ value: String?) { self = value.map { .string($0) } ?? .null }
  package init(_ values: [Int32]) { self = .array(values.map { .integer(Int64($0)) }) }
  package init(_ values: [Int32]?) { self = values.map { BodyValue($0) } ?? .null }
}
