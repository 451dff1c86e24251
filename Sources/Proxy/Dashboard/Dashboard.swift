import NIOCore
import NIOHTTP1

/// `GET /`: a page that watches this proxy and tries prompts on it. It asks this proxy alone, once a second: `/stats`,
/// `/metrics`, and every worker's metrics.
enum Dashboard {
  static let page = ByteBuffer(bytes: PackageResources.dashboard_html)
  static let fields: HTTPHeaders = [
    "content-type": "text/html; charset=utf-8", "cache-control": "no-cache",
    "content-security-policy":
      "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'",
  ]
}
