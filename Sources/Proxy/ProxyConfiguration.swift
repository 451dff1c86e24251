import HTTPServer
import Logging
import NIOCore

/// Everything that a proxy is told before it starts.
package struct ProxyConfiguration: Sendable {
  package var host = "localhost"
  /// 0 lets the system choose.
  package var port = 8000
  package var prefillers: [WorkerAddress] = []
  package var decoders: [WorkerAddress]
  /// Workers that take either leg, and requests of one leg.
  package var both: [WorkerAddress] = []
  /// Of workers that come and go; nil: only `/admin/workers` changes what was named.
  package var discovery: (any WorkerDiscovery)?
  package var handoff = HandoffKind.nixl
  /// Asks prefillers for their ticket before the prompt is computed, and then starts the decode leg at once.
  package var followsPrefill = true
  /// Of SGLang's prefillers: one for all of them, or one for each.
  package var bootstrapPorts = [SGLangHandoff.defaultPort]
  package var lmcache = LMCacheReceivers()
  package var prefillPolicy = PolicyKind.roundRobin
  package var decodePolicy = PolicyKind.roundRobin
  package var disaggregation = DisaggregationThreshold.tokens(0)
  /// For policies that keep a session together.
  package var sessionKeys = SessionKeys()
  /// Event loops; a request stays on one from client to workers.
  package var threads = 1
  package var deadlines = ProxyDeadlines()
  package var healthCheck = HealthCheckSettings()
  /// Workers that one leg may be tried on before the next remedy.
  package var attemptsPerLeg = 3
  /// How often a stream whose decoder fails may go on on another; 0: streams are not followed.
  package var migrations = 3
  package var retryBudget = RetryBudget()
  /// Before a prefill leg is tried elsewhere.
  package var backoff = Backoff()
  package var maxBodyBytes = 32 * 1024 * 1024
  /// For large answers that are no streams, all together: one that is held can be asked for again if its worker dies.
  package var heldAnswerBytes = 64 * 1024 * 1024
  /// Keys of clients; empty lets everybody in, if there is no file of keys either.
  package var clientKeys: [String] = []
  /// More keys of clients, one a line, read again when the file changes.
  package var clientKeyFile: String?
  /// Keys for `/admin/workers`, which is off if there are none, and none in the file either.
  package var adminKeys: [String] = []
  package var adminKeyFile: String?
  /// How long what runs on a worker that was removed may take to end, unless the one who removes it says so.
  package var drain = Duration.seconds(120)
  package var tls: (certificate: String, key: String)?
  package var cors = CORSPolicy()
  package var admission = AdmissionLimits()
  /// nil: no spans, and `traceparent` goes on as it came.
  package var tracing: TracingSettings?
  /// nil: no line for each request.
  package var accessLog: AccessLogSettings?
  /// How often the files of keys and certificates are looked at.
  package var fileInterval = Duration.seconds(5)
  /// Sent to the workers in place of the client's `Authorization`, which is passed on if this is nil.
  package var workerKey: String?
  /// What `/version` tells.
  package var version = "unknown"
  /// How often the TTFT block is written, if there were new requests.
  package var statisticsInterval = Duration.seconds(5)
  /// Where the TTFT block goes.
  package var statisticsSink: @Sendable (String) -> Void = { print($0, terminator: "") }

  package init(prefillers: [WorkerAddress], decoders: [WorkerAddress]) {
    self.prefillers = prefillers
    self.decoders = decoders
  }
}

/// How long the proxy waits for a worker, each from the moment that it began to wait.
package struct ProxyDeadlines: Sendable {
  package var connect = Duration.seconds(2)
  /// A prefill leg, from the request to the whole answer.
  package var prefill = Duration.seconds(120)
  /// A streamed answer's first event.
  package var firstToken = Duration.seconds(300)
  /// For the notices of a transfer, from the prefill's answer on.
  package var notice = Duration.seconds(10)
  /// Between two parts of an answer that has begun.
  package var idle = Duration.seconds(120)
  /// The whole request, with all its retries.
  package var request = Duration.seconds(3600)
  /// An unused connection; shorter than the five seconds after which uvicorn closes its end.
  package var keepAlive = Duration.seconds(4)

  package init() {}

  /// How often running requests are held against their deadlines.
  var resolution: Duration {
    let shortest = [prefill, firstToken, idle, request, keepAlive].min() ?? .seconds(1)
    return max(.milliseconds(5), min(.milliseconds(250), shortest / 4))
  }
}

package struct HealthCheckSettings: Sendable {
  package var interval = Duration.seconds(2)
  package var timeout = Duration.seconds(3)
  /// Checks in a row that must fail before a worker counts as unhealthy.
  package var failures = 3
  /// Legs in a row that must fail by what the worker answers before it is left alone.
  package var ejectAfter = 3

  package init() {}
}

package enum HandoffKind: String, Sendable, CaseIterable {
  /// What the workers tell (`HandoffEvidence`); nixl until then.
  case auto
  /// vLLM's `kv_transfer_params`, pulled by the decoder.
  case nixl
  /// Two plain requests; the workers find the KV by its content.
  case lmcache
  /// LMCache's `disagg_spec`: pushed to the decoder, with a notice to the proxy.
  case lmcacheDisagg = "lmcache-disagg"
  /// SGLang's `bootstrap_room`: both legs at once.
  case sglang
  /// Aggregated workers: no prefill leg.
  case none
}
