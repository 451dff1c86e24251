import Engine
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

  package static let supportedConnectors = ["NixlConnector"]

  package var role: Role
  /// nil: the engine's default.
  package var pullFailurePolicy: EngineConfiguration.PullFailurePolicy?
  /// Keys that we do not know, for a warning each.
  package var ignoredKeys: [String] = []

  package init(role: Role) { self.role = role }

  package init(json: String) throws(WorkerError) {
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
      case ("kv_connector_extra_config", .object(let extra)):
        ignoredKeys += extra.keys.map { "kv_connector_extra_config.\($0)" }
      default: ignoredKeys.append(member.key)
      }
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
