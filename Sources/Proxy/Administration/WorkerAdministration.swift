import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// `/admin/workers`: who is there, who comes, who goes, who changes roles. Asked for with an admin key only.
struct WorkerAdministration: Sendable {
  let context: ProxyContext
  let keeper: FleetKeeper

  /// `/admin/workers`, and `/admin/workers/HOST:PORT` for one.
  static let path = "/admin/workers"

  /// - Parameter endpoint: `adminWorkers` or `adminWorker`.
  func answer(_ request: HTTPRequest, _ endpoint: Endpoint, _ writer: HTTPResponseWriter, _ loop: ProxyLoop) {
    guard !context.adminKeys.isEmpty else { return writer.send(.administrationIsOff) }
    guard context.adminKeys.accept(request.headers) else { return writer.send(.unauthorizedAdmin) }
    do throws(APIError) {
      switch (endpoint, request.method) {
      case (.adminWorker, .PATCH): try changeRole(request, writer, loop)
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
    let asked = try RemovalQuery(request.query, usual: context.configuration.drain)
    let workers = try workers(of: request) { asked.role == nil || $0.role == asked.role }
    do throws(FleetError) {
      try keeper.remove(workers.map(\.endpoint), grace: asked.grace)
    } catch {
      throw .conflict("\(error)")
    }
    return page(workers)
  }

  /// A worker of ours may have been started for one role: it is told to take both kinds of requests, since those of the old
  /// role still run on it. Another engine has no such path.
  private func changeRole(
    _ request: HTTPRequest, _ writer: HTTPResponseWriter, _ loop: ProxyLoop
  ) throws(APIError) {
    let worker = try workers(of: request) { !$0.isLeaving }[0]
    let order = try WorkerOrder(request.body, of: worker.address)
    let asked = try RemovalQuery(request.query, usual: context.configuration.drain)
    if asked.role != nil { throw .badValue("The role stands in the body.", param: "role") }
    let key = context.configuration.workerKey.map { "authorization: Bearer \($0)\r\n" } ?? ""
    SingleAnswer.post(
      ByteBuffer(string: #"{"kv_role":"kv_both"}"#), to: "/kv/role", of: worker,
      lines: ByteBuffer(string: "content-type: application/json\r\n\(key)"),
      over: loop, within: context.configuration.healthCheck.timeout
    ) { answer in
      do throws(APIError) {
        try Self.check(answer, of: worker)
        do throws(FleetError) {
          try keeper.change(worker.address, to: order.endpoints, grace: asked.grace)
        } catch {
          throw .conflict("\(error)")
        }
        writer.send(.accepted, page(context.registry.fleet.workers.filter { $0.address == worker.address }))
      } catch {
        writer.send(error)
      }
    }
  }

  private static func check(
    _ answer: Result<(status: Int, body: ByteBuffer), LegFault>, of worker: Worker
  ) throws(APIError) {
    switch answer {
    case .success((200, _)), .success((404, _)), .success((405, _)): return
    case .success(let (status, body)):
      throw .conflict("\(worker.address) does not change its role: \(status), \(String(buffer: body))")
    case .failure(let fault): throw .conflict("\(worker.address) was not asked to change its role: it \(fault).")
    }
  }

  /// - Returns: Those at the path's address that are meant; at least one.
  private func workers(of request: HTTPRequest, _ areMeant: (Worker) -> Bool) throws(APIError) -> [Worker] {
    let text = request.path.dropFirst(Self.path.count + 1)
    guard let address = WorkerAddress(parsing: String(text)) else { throw .unknownPath(request.path) }
    let workers = context.registry.fleet.workers.filter { $0.address == address && areMeant($0) }
    guard !workers.isEmpty else {
      throw APIError(
        status: 404, type: "NotFoundError",
        message: "There is no worker at \(address). GET \(Self.path) lists those that are there.", param: "\(address)")
    }
    return workers
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
