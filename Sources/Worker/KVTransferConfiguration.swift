import Engine
import KVOffload
import ServingAPI

/// `--kv-transfer-config`: vLLM's JSON, what we serve of it.
package struct KVTransferConfiguration: Sendable, Equatable {
  package enum Role: String, Sendable, CaseIterable {
    case producer = "kv_producer"
    case consumer = "kv_consumer"
    case both = "kv_both"

    var publishes: Bool { self != .consumer }
    var pulls: Bool { self != .producer }
  }

  /// Who moves the KV, and how decoders learn of it.
  package enum Connector: Sendable, Equatable {
    /// `NixlConnector`: the router carries a ticket, and the decoder pulls.
    case pull
    /// `LMCacheConnectorV1`: the prefiller pushes into the decoder's buffer, and the decoder finds it by its content.
    case push(LMCachePush)
    /// `LMCacheConnectorV1` without LMCache's prefill-decode mode: KV is kept here, and handed to nobody.
    case local
  }

  package static let supportedConnectors = ["NixlConnector", "LMCacheConnectorV1"]

  package var connector = Connector.pull
  package var role: Role
  /// What becomes of evicted KV; nil: nothing is said of it.
  package var offload: OffloadConfiguration?
  /// Of this worker alone on its host (`lmcache_rpc_port`); nil: not named.
  package var rpcPort: String?
  /// nil: the engine's default.
  package var pullFailurePolicy: EngineConfiguration.PullFailurePolicy?
  /// Keys that we do not know, for a warning each.
  package var ignoredKeys: [String] = []
  /// Of LMCache's settings, those that have no effect, or another one than elsewhere: a line each.
  package var warnings: [String] = []

  package init(role: Role) { self.role = role }

  /// - Parameter environment: where LMCache's settings are.
  package init(json: String, environment: [String: String] = [:]) throws(WorkerError) {
    let value: BodyValue
    do {
      value = try BodyParser.parse(Array(json.utf8))
    } catch {
      throw .badTransferConfiguration("it is not JSON: \(error.reason) (byte \(error.offset))")
    }
    guard case .object(let fields) = value else { throw .badTransferConfiguration("it is not a JSON object") }
    let connector = fields["kv_connector"]?.stringValue ?? ""
    guard Self.supportedConnectors.contains(connector) else {
      throw .badTransferConfiguration(
        "kv_connector is '\(connector)', supported is \(Self.supportedConnectors.joined(separator: ", "))")
    }
    role = try Self.choice(fields, "kv_role") ?? .both
    pullFailurePolicy = try Self.choice(fields, "kv_load_failure_policy")
    for member in fields.members {
      switch (member.key, member.value) {
      case ("kv_connector", _), ("kv_role", _), ("kv_load_failure_policy", _), ("kv_buffer_device", "cpu"): break
      case ("kv_connector_extra_config", .object(let extra)): readExtra(extra, of: connector)
      default: ignoredKeys.append(member.key)
      }
    }
    if connector == "LMCacheConnectorV1" { try take(try LMCacheConfiguration(environment: environment)) }
  }

  private mutating func readExtra(_ extra: BodyValue.Fields, of connector: String) {
    for member in extra.members {
      switch (connector, member.key, member.value) {
      case ("LMCacheConnectorV1", "lmcache_rpc_port", .string(let name)): rpcPort = name
      case ("LMCacheConnectorV1", "lmcache_rpc_port", .integer(let number)): rpcPort = "\(number)"
      // Whole prompts are handed over, and their last chunk with them.
      case ("LMCacheConnectorV1", "discard_partial_chunks", .bool(false)): break
      default: ignoredKeys.append("kv_connector_extra_config.\(member.key)")
      }
    }
  }

  /// The two files must agree on what this worker is.
  private mutating func take(_ settings: LMCacheConfiguration) throws(WorkerError) {
    offload = settings.offload
    warnings = settings.warnings
    guard let push = settings.push else {
      connector = .local
      guard role == .both else {
        throw .badTransferConfiguration(
          "kv_role is \(role.rawValue), but LMCache's settings have no enable_nixl (newer: enable_pd): KV that is only kept "
            + "goes with kv_both")
      }
      return
    }
    connector = .push(push)
    guard role != .both, (role == .producer) == (push.role == .sender) else {
      throw .badTransferConfiguration(
        "kv_role is \(role.rawValue), but LMCache's settings say nixl_role: \(push.role.rawValue); kv_producer goes with "
          + "sender, kv_consumer with receiver")
    }
  }

  private static func choice<Choice: RawRepresentable<String> & Sendable>(
    _ fields: BodyValue.Fields, _ key: String
  ) throws(WorkerError) -> Choice? {
    guard let value = fields[key], value != .null else { return nil }
    guard let text = value.stringValue, let choice = Choice(rawValue: text) else {
      let values = key == "kv_role" ? Role.allCases.map(\.rawValue) : ["recompute", "fail"]
      throw .badTransferConfiguration("\(key) is not one of \(values.joined(separator: ", "))")
    }
    return choice
  }
}
