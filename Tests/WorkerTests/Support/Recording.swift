import Foundation
import ServingAPI
import Testing

/// One exchange with a real vLLM 0.32 server.
struct Recording: Sendable, CustomTestStringConvertible {
  var name: String
  var method: String
  var path: String
  var headers: [(String, String)]
  var status: Int
  var contentType: String
  var request: [UInt8]
  var response: [UInt8]

  var testDescription: String { name }

  static let all: [Recording] = (try? load()) ?? []

  private static func load() throws -> [Recording] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/single")
    func bytes(_ name: String) -> [UInt8]? { (try? Data(contentsOf: folder.appending(path: name))).map { Array($0) } }
    let index = try BodyParser.parse(bytes("index.json") ?? [])
    return (index.arrayValue ?? []).map { entry in
      let name = entry["name"]?.stringValue ?? ""
      var headers: [(String, String)] = []
      if case .object(let fields)? = entry["request_headers"] {
        headers = fields.members.map { ($0.key, $0.value.stringValue ?? "") }
      }
      var status = 0
      if case .integer(let code)? = entry["status"] { status = Int(code) }
      return Recording(
        name: name, method: entry["method"]?.stringValue ?? "", path: entry["path"]?.stringValue ?? "",
        headers: headers, status: status, contentType: entry["content_type"]?.stringValue ?? "",
        request: bytes("\(name).request.json") ?? [],
        response: ["json", "sse.txt", "txt"].lazy.compactMap { bytes("\(name).response.\($0)") }.first ?? [])
    }
  }
}

extension Recording {
  /// `kv_transfer_params` as vLLM's prefiller answered them.
  static let prefillTicket: BodyValue? = {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../Fixtures/nixl/1_prefill.response.json")
    guard let data = try? Data(contentsOf: file) else { return nil }
    return (try? BodyParser.parse(Array(data)))?["kv_transfer_params"]
  }()
}
