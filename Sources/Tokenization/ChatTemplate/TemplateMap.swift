/// A dictionary that keeps the order of insertion, as Python's does.
///
/// Keys are equal when their UTF-8 is equal: unlike Swift's `String`, Python does not take "é" and "e" + accent for one.
package struct TemplateMap<Value> {
  package private(set) var entries: [(key: String, value: Value)] = []
  private var places: [Name: Int] = [:]

  package init() {}

  package init(_ entries: some Sequence<(String, Value)>) {
    for (key, value) in entries { self[key] = value }
  }

  /// Setting an existing key keeps its place; setting nil does nothing.
  package subscript(key: String) -> Value? {
    get { places[Name(text: key)].map { entries[$0].value } }
    set {
      guard let newValue else { return }
      if let place = places[Name(text: key)] {
        entries[place].value = newValue
      } else {
        places[Name(text: key)] = entries.count
        entries.append((key, newValue))
      }
    }
  }

  private struct Name: Hashable {
    let text: String

    static func == (left: Name, right: Name) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }
}

extension TemplateMap: Sendable where Value: Sendable {}

extension TemplateMap: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, Value)...) {
    self.init(elements)
  }
}
