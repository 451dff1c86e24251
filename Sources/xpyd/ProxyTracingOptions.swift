import ArgumentParser
import Proxy

/// Where the spans of requests go. The variables are OpenTelemetry's.
struct TracingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      OTLP collector to send a trace of each request to, such as http://localhost:4318; or OTEL_EXPORTER_OTLP_ENDPOINT \
      in the environment, with OTEL_EXPORTER_OTLP_HEADERS and OTEL_SERVICE_NAME.
      """, valueName: "url"))
  var otlpEndpoint: String?

  func validate() throws { _ = try settings(environment: [:]) }

  /// - Returns: nil if nobody wants traces.
  func settings(environment: [String: String]) throws -> TracingSettings? {
    let (text, source) =
      otlpEndpoint.map { ($0, "--otlp-endpoint") }
      ?? (environment["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "", "OTEL_EXPORTER_OTLP_ENDPOINT")
    guard !text.isEmpty else { return nil }
    // The endpoint is a base: traces have a path of their own below it.
    let base = text.hasSuffix("/") ? String(text.dropLast()) : text
    guard let endpoint = OutboundURL("\(base)/v1/traces") else {
      throw ValidationError("\(source) \(text): give http://HOST:PORT or https://HOST:PORT.")
    }
    var settings = TracingSettings(endpoint: endpoint)
    if let name = environment["OTEL_SERVICE_NAME"], !name.isEmpty { settings.service = name }
    settings.fields = try Self.fields(environment["OTEL_EXPORTER_OTLP_HEADERS"] ?? "")
    return settings
  }

  /// `key=value,key=value`
  private static func fields(_ text: String) throws -> [(name: String, value: String)] {
    try text.split(separator: ",").map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, pair.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), !parts[0].contains(" ") else {
        throw ValidationError("OTEL_EXPORTER_OTLP_HEADERS: give KEY=VALUE, several with commas between.")
      }
      return (String(parts[0]), String(parts[1]))
    }
  }
}
