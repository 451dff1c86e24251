import Foundation
import HTTPServer
import Testing

@Suite struct WatchedFilesTests {
  private static func withFile(_ text: String, _ body: (URL) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-\(UUID().uuidString)")
    try Data(text.utf8).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(url)
  }

  @Test func `A value is made anew when its file was replaced, and stays when the file is wrong`() throws {
    try Self.withFile("one") { url in
      let files = try WatchedFiles([url.path]) { try APIKeys(file: url.path) }
      #expect(try !files.refresh())
      try Data("second".utf8).write(to: url, options: .atomic)
      #expect(try files.refresh())
      #expect(files.value.accept(authorization: "Bearer second"))
      try Data("".utf8).write(to: url, options: .atomic)
      #expect(throws: APIKeyFileError.empty(url.path)) { try files.refresh() }
      // Told once, not at every look.
      #expect(try !files.refresh())
      #expect(files.value.accept(authorization: "Bearer second"))
      try FileManager.default.removeItem(at: url)
      #expect(throws: APIKeyFileError.unreadable(url.path)) { try files.refresh() }
    }
  }

  @Test(arguments: [("a b", APIKeyFileError.notAKey("")), ("# none\n\n", .empty("")), ("kéy", .notAKey(""))])
  func `A file of keys that holds something else is refused`(text: String, error: APIKeyFileError) throws {
    try Self.withFile(text) { url in
      #expect {
        try APIKeys(file: url.path)
      } throws: { thrown in
        switch (thrown as? APIKeyFileError, error) {
        case (.notAKey?, .notAKey), (.empty?, .empty): true
        default: false
        }
      }
    }
  }
}
