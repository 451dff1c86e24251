import ServingAPI

/// Reads one call, `{"name": …, "arguments": {…}}`, byte by byte: the name when it is there, then the arguments as they
/// come. Arguments that come before the name wait for it.
struct ToolCallScanner: Sendable {
  private enum Place { case opening, beforeKey, key, colon, beforeValue, value }

  private var place = Place.opening
  private var key: [UInt8] = []
  private var value: [UInt8] = []
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  /// Arguments that were read before the name.
  private var waiting: [UInt8] = []
  private var hasArguments = false
  private let isArgumentsOnly: Bool

  private(set) var hasName = false
  private(set) var isComplete = false
  private(set) var isMalformed = false
  /// All bytes so far.
  private(set) var raw: [UInt8] = []
  private var givenName: String?

  init() { isArgumentsOnly = false }

  /// The object is the arguments of a call whose name is known.
  init(name: String) {
    isArgumentsOnly = true
    givenName = name
    place = .beforeValue
    key = Array("arguments".utf8)
  }

  /// - Parameter arguments: Gets what is known of them now.
  /// - Returns: The name, once.
  mutating func read(_ byte: UInt8, arguments: inout [UInt8]) -> String? {
    raw.append(byte)
    var name: String?
    if let given = givenName {
      (name, givenName, hasName) = (given, nil, true)
    }
    let isSpace = byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    switch place {
    case .opening where byte == UInt8(ascii: "{"): place = .beforeKey
    case .beforeKey where isSpace || byte == UInt8(ascii: ","): break
    case .beforeKey where byte == UInt8(ascii: "\""): (key, place) = ([], .key)
    case .beforeKey where byte == UInt8(ascii: "}"): end(&arguments)
    case .key where byte == UInt8(ascii: "\""): place = .colon
    case .key: key.append(byte)
    case .colon where isSpace: break
    case .colon where byte == UInt8(ascii: ":"): place = .beforeValue
    case .beforeValue where isSpace: break
    case .beforeValue:
      (value, depth, place) = ([], 0, .value)
      name = readValue(byte, &arguments) ?? name
    case .value: name = readValue(byte, &arguments) ?? name
    case .opening, .beforeKey, .colon: isMalformed = true
    }
    return name
  }

  private var isArguments: Bool { key.elementsEqual("arguments".utf8) || key.elementsEqual("parameters".utf8) }

  private mutating func readValue(_ byte: UInt8, _ arguments: inout [UInt8]) -> String? {
    if !isInString, depth == 0, !value.isEmpty,
      byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == 0x20
        || byte == 0x0A
    {
      // A number or a word ends where something else begins.
      let name = endValue(&arguments)
      if byte == UInt8(ascii: "}") { end(&arguments) }
      return name
    }
    value.append(byte)
    if isArguments, value[0] == UInt8(ascii: "{") {
      hasArguments = true
      if hasName { arguments.append(byte) } else { waiting.append(byte) }
    }
    track(byte)
    guard !isInString, depth == 0,
      value[0] == UInt8(ascii: "\"") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
    else { return nil }
    return endValue(&arguments)
  }

  private mutating func track(_ byte: UInt8) {
    if isEscaped {
      isEscaped = false
    } else if isInString {
      if byte == UInt8(ascii: "\\") { isEscaped = true }
      if byte == UInt8(ascii: "\"") { isInString = false }
    } else if byte == UInt8(ascii: "\"") {
      isInString = true
    } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
      depth += 1
    } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
      depth -= 1
    }
  }

  private mutating func endValue(_ arguments: inout [UInt8]) -> String? {
    place = .beforeKey
    if isArgumentsOnly {
      isComplete = true
      return nil
    }
    if key.elementsEqual("name".utf8), !hasName {
      guard let name = (try? BodyParser.parse(value))?.stringValue else {
        isMalformed = true
        return nil
      }
      hasName = true
      arguments += waiting
      waiting = []
      return name
    }
    // Some models write the arguments as a string that holds JSON.
    if isArguments, value[0] != UInt8(ascii: "{") {
      let text = (try? BodyParser.parse(value))?.stringValue.map { Array($0.utf8) } ?? value
      hasArguments = true
      if hasName { arguments += text } else { waiting += text }
    }
    return nil
  }

  private mutating func end(_ arguments: inout [UInt8]) {
    guard hasName else {
      isMalformed = true
      return
    }
    if !hasArguments { arguments += "{}".utf8 }
    isComplete = true
  }
}
