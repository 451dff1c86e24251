import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// One GET of a file, written to disk as it comes.
///
/// The order: redirects (the hub tells the hash there), one response that decides what becomes of the part file, data.
// SAFETY: all state is read and written on the session's delegate queue, which runs one operation at a time; `run`
// sets the continuation before the task starts.
final class HubDownload: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  private let request: URLRequest
  private let part: String
  private let etagFile: String
  private let stallSeconds: Double
  private let hasToken: Bool
  private let progress: @Sendable (PullProgress) -> Void
  private let url: String

  private var received: Int
  private var total: Int?
  private var sha256: String?
  private var descriptor: Int32 = -1
  private var failure: ModelStoreError?
  private var continuation: CheckedContinuation<Result<String?, ModelStoreError>, Never>?

  /// - Parameter start: Bytes that the part has already, and that `request` does not ask for.
  init(
    request: URLRequest, part: String, etagFile: String, start: Int, stallSeconds: Double, hasToken: Bool,
    progress: @escaping @Sendable (PullProgress) -> Void
  ) {
    self.request = request
    self.part = part
    self.etagFile = etagFile
    self.stallSeconds = stallSeconds
    self.hasToken = hasToken
    self.progress = progress
    url = request.url?.absoluteString ?? ""
    received = start
  }

  /// - Returns: The SHA-256 that the hub told, if it did.
  func run() async -> Result<String?, ModelStoreError> {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = stallSeconds
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = 1
    let session = URLSession(configuration: configuration, delegate: self, delegateQueue: queue)
    defer { session.finishTasksAndInvalidate() }
    let task = session.dataTask(with: request)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        self.continuation = continuation
        task.resume()
      }
    } onCancel: {
      task.cancel()
    }
  }

  // MARK: - URLSession's calls

  func urlSession(
    _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
    newRequest: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
  ) {
    noteHash(of: response)
    var redirected = newRequest
    for header in ["Range", "If-Range", "Accept-Encoding", "User-Agent"] {
      redirected.setValue(request.value(forHTTPHeaderField: header), forHTTPHeaderField: header)
    }
    // A content network is handed no token.
    let staysHome =
      newRequest.url?.host == request.url?.host && newRequest.url?.port == request.url?.port
      && newRequest.url?.scheme == request.url?.scheme
    redirected.setValue(
      staysHome ? request.value(forHTTPHeaderField: "Authorization") : nil, forHTTPHeaderField: "Authorization")
    redirected.timeoutInterval = stallSeconds
    completionHandler(redirected)
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    do {
      guard let response = response as? HTTPURLResponse else { throw ModelStoreError.badAnswer(url: url, status: 0) }
      noteHash(of: response)
      try accept(response)
      completionHandler(.allow)
    } catch {
      failure = error as? ModelStoreError
      completionHandler(.cancel)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    guard failure == nil else { return }
    do {
      try write(data)
      progress(.received(received, of: total))
    } catch {
      failure = error
      dataTask.cancel()
    }
  }

  func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
    if descriptor >= 0 { close(descriptor) }
    continuation?.resume(returning: outcome(error))
    continuation = nil
  }

  // MARK: - Decisions

  private func noteHash(of response: HTTPURLResponse) {
    let linked = response.value(forHTTPHeaderField: "X-Linked-Etag")
    let tag = linked ?? (sha256 == nil ? response.value(forHTTPHeaderField: "ETag") : nil)
    guard let bare = tag?.trimmingCharacters(in: CharacterSet(charactersIn: "\"W/")).lowercased() else { return }
    if bare.utf8.count == 64, bare.allSatisfy(\.isHexDigit) { sha256 = bare }
  }

  private func accept(_ response: HTTPURLResponse) throws(ModelStoreError) {
    switch response.statusCode {
    case 200:
      received = 0
      total = response.expectedContentLength >= 0 ? Int(response.expectedContentLength) : nil
      try openPart(truncating: true)
      try FileSystem.write(response.value(forHTTPHeaderField: "ETag") ?? "", to: etagFile)
    case 206:
      let range = response.value(forHTTPHeaderField: "Content-Range") ?? ""
      guard range.hasPrefix("bytes \(received)-") else {
        removePart()
        throw .interrupted(url: url, received: 0, reason: "it sent the range '\(range)', not from \(received)")
      }
      total = range.split(separator: "/").last.flatMap { Int($0) }
      try openPart(truncating: false)
    case 401, 403: throw .refused(url: url, status: response.statusCode, hasToken: hasToken)
    case 404: throw .notFound(url: url)
    case 416:
      removePart()
      throw .badAnswer(url: url, status: 416)
    default: throw .badAnswer(url: url, status: response.statusCode)
    }
  }

  private func outcome(_ error: (any Error)?) -> Result<String?, ModelStoreError> {
    if let failure { return .failure(failure) }
    if let error = error as? URLError {
      switch error.code {
      case .timedOut: return .failure(.stalled(url: url, seconds: stallSeconds, received: received))
      case .cancelled: return .failure(.cancelled(model: url))
      default: return .failure(.interrupted(url: url, received: received, reason: error.localizedDescription))
      }
    }
    if let error { return .failure(.interrupted(url: url, received: received, reason: error.localizedDescription)) }
    guard total ?? received == received else {
      return .failure(.interrupted(url: url, received: received, reason: "\(total ?? 0) were announced"))
    }
    return .success(sha256)
  }

  // MARK: - The part

  private func openPart(truncating: Bool) throws(ModelStoreError) {
    descriptor = open(part, O_WRONLY | O_CREAT | O_CLOEXEC | (truncating ? O_TRUNC : O_APPEND), 0o644)
    guard descriptor >= 0 else { throw FileSystem.failure(part, errno: errno) }
  }

  private func write(_ data: Data) throws(ModelStoreError) {
    var rest = data[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw FileSystem.failure(part, errno: errno) }
      rest = rest.dropFirst(count)
      received += count
    }
  }

  private func removePart() {
    FileSystem.remove(part)
    FileSystem.remove(etagFile)
  }
}
