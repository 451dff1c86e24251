import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// `/workers/NAME/metrics`: a worker's own `/metrics`, for who reaches the proxy and not the workers.
enum WorkerMetrics {
  /// - Returns: NAME, if `path` has this form.
  static func worker(of path: String) -> Substring? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0].isEmpty && parts[1] == "workers" && parts[3] == "metrics" ? parts[2] : nil
  }

  static func relay(_ request: HTTPRequest, writer: HTTPResponseWriter, loop: ProxyLoop) {
    guard let name = worker(of: request.path),
      let worker = loop.context.registry.fleet.workers.first(where: { $0.name == name })
    else {
      return writer.send(.unknownPath(request.path))
    }
    SingleAnswer.get("/metrics", from: worker, over: loop, within: loop.context.configuration.healthCheck.timeout) {
      switch $0 {
      case .success(let answer) where answer.status == 200:
        writer.send(.ok, headers: ["content-type": MediaTypes.metrics], body: answer.body)
      case .success(let answer): writer.send(APIError(.answered(status: answer.status), on: worker))
      case .failure(let fault): writer.send(APIError(fault, on: worker))
      }
    }
  }
}
