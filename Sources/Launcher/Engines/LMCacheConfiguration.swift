import Foundation

/// The example's two files for LMCache's connector: prefillers send, the decoder receives.
package struct LMCacheConfiguration: Sendable {
  let role: Deployment.Role

  var fileName: String { "lmcache-\(role == .decoder ? "decoder" : "prefiller")-config.yaml" }

  func path(in directory: String) -> String { "\(directory)/\(fileName)" }

  /// - Parameter peer: Where the decoder's receiver listens.
  func text(peer: (host: String, port: Int), device: String) -> String {
    """
    local_cpu: False
    max_local_cpu_size: 0
    max_local_disk_size: 0
    remote_serde: NULL

    enable_nixl: True
    nixl_role: "\(role == .decoder ? "receiver" : "sender")"
    nixl_peer_host: "\(peer.host)"
    nixl_peer_port: \(peer.port)
    nixl_buffer_size: 1073741824 # 1GB
    nixl_buffer_device: "\(device)"
    nixl_enable_gc: True

    """
  }

  /// The example's port.
  static let peerPort = 55555

  /// Writes the files that the deployment's workers read; none, if no worker uses LMCache.
  package static func write(for deployment: Deployment, into directory: String) throws {
    let workers = deployment.workers.filter { $0.engine == .vllm && $0.connector == .lmcache }
    guard let receiver = workers.first(where: { $0.role == .decoder }) else { return }
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for role in [Deployment.Role.prefiller, .decoder] {
      let configuration = LMCacheConfiguration(role: role)
      let device = workers.allSatisfy { $0.role != role || $0.gpus.isEmpty } ? "cpu" : "cuda"
      try configuration.text(peer: (receiver.host, peerPort), device: device)
        .write(toFile: configuration.path(in: directory), atomically: true, encoding: .utf8)
    }
  }
}
