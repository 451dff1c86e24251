import HTTPServer
import NIOHTTP1
import ServingAPI

extension ClientBody {
  /// This body with a `cache_salt` of the client's key, so that workers keep the KV of different keys apart. One that
  /// the client sends itself goes into it; one that is no string is left for the worker to refuse.
  func salted(for headers: HTTPHeaders) -> ClientBody {
    guard let authorization = headers.authorization else { return self }
    let own = withValue(of: "cache_salt") { String(decoding: $0, as: UTF8.self) }
    if let own, own != "null", !own.hasPrefix("\"") || own == "\"\"" { return self }
    let salt = TenantSalt.salt(authorization: authorization, own: own == "null" ? nil : own)
    return asking([.set("cache_salt", "\"\(salt)\"")])
  }
}
