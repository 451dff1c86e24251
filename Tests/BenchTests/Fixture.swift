import Foundation
import ServingAPI

/// A file of `Fixtures/`.
enum Fixture {
  static func bytes(_ name: String) throws -> [UInt8] {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)")
    return Array(try Data(contentsOf: url))
  }

  static func json(_ name: String) throws -> BodyValue { try BodyParser.parse(bytes(name)) }
}
