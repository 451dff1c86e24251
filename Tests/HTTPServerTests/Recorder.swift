import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// Records what reaches the application and echoes the body.
final class Recorder: HTTPResponder {
  let requests = Log<HTTPRequest>()

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    requests.add(request)
    writer.send(.ok, headers: ["content-type": "text/plain"], body: request.body)
  }
}

func withServer(
  _ responder: any HTTPResponder, limits: HTTPLimits = HTTPLimits(), tls: TLSFiles? = nil,
  _ body: (HTTPServer) async throws -> Void
) async throws {
  var logger = Logger(label: "test")
  logger.logLevel = .error
  let server = try await HTTPServer.start(
    host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, limits: limits, tls: tls, logger: logger,
    responder: responder)
  do { try await body(server) } catch {
    await server.shutdown(grace: .zero)
    throw error
  }
  await server.shutdown(grace: .zero)
}
