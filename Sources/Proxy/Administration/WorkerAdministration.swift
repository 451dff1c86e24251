import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// `/admin/workers`: who is there, who comes, who goes. Asked for with an admin key only.
struct WorkerAdministration: Sendable {
  let context: ProxyContext
  let keeper: FleetKeeper

  /// `/admin/workers`, and `/admin/workers/HOST:PORT` for one.
  static let path = "/admin/workers"

  /// - Parameter endpoint: `adminWorkers` or `adminWorker`.
  func answer(_ request: HTTPRequest, _ endpoint: Endpoint, _ writer: HTTPResponseWriter) {
    guard !context.adminKeys.isEmpty else { return writer.send(.administrationIsOff) }
    guard context.adminKeys.accept(request.headers) else { return writer.send(.unauthorizedAdmin) }
    do throws(APIError) {
      switch (endpoint, request.method) {
      case (.adminWorker, _): writer.send(.accepted, try remove(request))
      case (_, .POST): writer.send(.created, try add(request))
      default: writer.send(.ok, page(context.registry.fleet.workers))
      }
    } catch {
      writer.send(error)
    }
  }

  private func add(_ request: HTTPRequest) throws(APIError) -> BodyValue {
    let order = try WorkerOrder(request.body)
    do throws(FleetError) {
      _ = try keeper.add(order.endpoints)
    } catch {
      throw .conflict("\(error)")
    }
    return page(context.registry.fleet.workers.filter { order.endpoints.contains($0.endpoint) })
  }

  private func remove(_ request: HTTPRequest) throws(APIError) -> BodyValue {
    let text = request.path.dropFirst(Self.path.count + 1)
    guard let address = WorkerAddress(parsing: String(text)) else { throw .unknownPath(request.path) }
    let asked = try RemovalQuery(request.query, usual: context.configuration.drain)
    let workers = context.registry.fleet.workers.filter {
      $0.address == address && (asked.role == nil || $0.role == asked.role)
    }
    guard !workers.isEmpty else {
      throw APIError(
        status: 404, type: "NotFoundError",
        message: "There is no worker at \(address). GET \(Self.path) lists those that are there.", param: "\(address)")
    }
    do throws(FleetError) {
      try keeper.remove(workers.map(\.endpoint), grace: asked.grace)
    } catch {
      throw .conflict("\(error)")
    }
    return page(workers)
  }

  private func page(_ workers: [Worker]) -> BodyValue {
    let described = workers.map { worker in
      var fields = BodyValue.Fields()
      fields["role"] = .string(worker.role.rawValue)
      if case .object(let others) = ProxyContext.describe(worker) {
        for (key, value) in others.members { fields[key] = value }
      }
      return BodyValue.object(fields)
    }
    return ["workers": .array(described)]
  }
}
