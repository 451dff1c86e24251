import Glibc
import NIOCore
import Synchronization

/// Where Kubernetes' API is, and who we are to it.
package struct KubernetesAPI: Sendable {
  package var url: OutboundURL
  package var namespace: String
  /// Read before each request: it is replaced from time to time. nil: none is sent, as `kubectl proxy` wants it.
  package var tokenFile: String?
  /// PEM; nil: whom the system trusts.
  package var certificateAuthority: String?

  package init(url: OutboundURL, namespace: String, tokenFile: String? = nil, certificateAuthority: String? = nil) {
    self.url = url
    self.namespace = namespace
    self.tokenFile = tokenFile
    self.certificateAuthority = certificateAuthority
  }

  private static let account = "/var/run/secrets/kubernetes.io/serviceaccount"

  /// What a pod knows of its API: its service account's files, and two variables.
  ///
  /// - Parameter namespace: nil: the pod's own.
  package static func ofPod(
    environment: [String: String], namespace: String?
  ) throws(DiscoveryError) -> KubernetesAPI {
    guard let host = environment["KUBERNETES_SERVICE_HOST"], let port = environment["KUBERNETES_SERVICE_PORT"],
      let url = OutboundURL("https://\(host.contains(":") ? "[\(host)]" : host):\(port)")
    else { throw .kubernetes(reason: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name no API") }
    guard let namespace = namespace ?? contents(of: "\(account)/namespace") else {
      throw .kubernetes(reason: "\(account)/namespace cannot be read: give --service-discovery-namespace")
    }
    return KubernetesAPI(
      url: url, namespace: namespace, tokenFile: "\(account)/token", certificateAuthority: "\(account)/ca.crt")
  }

  /// - Parameter query: After the `?`, already encoded.
  func endpointSlices(_ query: String, idle: Duration) throws(DiscoveryError) -> OutboundRequest {
    let path = "\(url.path)/apis/discovery.k8s.io/v1/namespaces/\(namespace)/endpointslices"
    var request = OutboundRequest(url: url, target: "\(path)?\(query)", certificateAuthority: certificateAuthority)
    request.fields = [("accept", "application/json")]
    request.idle = idle
    if let tokenFile {
      guard let token = Self.contents(of: tokenFile) else { throw .file(tokenFile, reason: "it holds no token") }
      request.fields.append(("authorization", "Bearer \(token)"))
    }
    return request
  }

  /// - Returns: nil if it cannot be read, or is not one line of printable ASCII.
  private static func contents(of file: String) -> String? {
    guard let handle = fopen(file, "r") else { return nil }
    defer { fclose(handle) }
    var bytes = [UInt8](repeating: 0, count: 64 * 1024)
    let count = fread(&bytes, 1, bytes.count, handle)
    let text = String(decoding: bytes[..<count], as: UTF8.self).filter { !$0.isNewline }
    return !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? text : nil
  }
}
