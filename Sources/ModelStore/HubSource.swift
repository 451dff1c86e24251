import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Downloads files of the Hugging Face hub, going on where an earlier attempt broke off.
struct HubSource {
  /// `HF_ENDPOINT`, without a slash at its end.
  let endpoint: String
  /// `HF_TOKEN`.
  let token: String?
  /// How long the server may send nothing.
  let stallTimeout: Duration
  /// How often a connection that breaks off is taken up again.
  let attempts: Int

  init(environment: [String: String], stallTimeout: Duration, attempts: Int) {
    let endpoint = environment["HF_ENDPOINT"].flatMap { $0.isEmpty ? nil : $0 } ?? "https://huggingface.co"
    self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    token = environment["HF_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
    self.stallTimeout = stallTimeout
    self.attempts = attempts
  }

  /// Leaves the file at `part`.
  ///
  /// - Returns: The SHA-256 that the hub tells, which is not checked here; nil for a file that is not in LFS.
  func fetch(
    _ file: HubFile, to part: String, progress: @escaping @Sendable (PullProgress) -> Void
  ) async throws(ModelStoreError) -> String? {
    let url = "\(endpoint)/\(file.repository)/resolve/main/\(file.file)"
    guard let address = URL(string: url), address.host != nil else { throw .notFound(url: url) }
    progress(.started(url))
    var attempt = 1
    while true {
      let start = FileSystem.size(part)
      do {
        return try await attemptFetch(address, to: part, progress: progress)
      } catch {
        guard attempt < attempts, isWorthRetrying(error, start: start, now: FileSystem.size(part)) else { throw error }
        attempt += 1
      }
    }
  }

  /// After a break there is something new, or after a 416 the part is gone.
  private func isWorthRetrying(_ error: ModelStoreError, start: Int?, now: Int?) -> Bool {
    switch error {
    case .interrupted: now ?? 0 > start ?? 0
    case .badAnswer(_, 416): start != nil && now == nil
    default: false
    }
  }

  private func attemptFetch(
    _ address: URL, to part: String, progress: @escaping @Sendable (PullProgress) -> Void
  ) async throws(ModelStoreError) -> String? {
    let seconds = Double(stallTimeout.components.seconds) + Double(stallTimeout.components.attoseconds) * 1e-18
    var request = URLRequest(url: address, cachePolicy: .reloadIgnoringLocalCacheData, timeoutInterval: seconds)
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    request.setValue("xpyd", forHTTPHeaderField: "User-Agent")
    if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
    let etagFile = part + ".etag"
    var start = 0
    if let size = FileSystem.size(part), size > 0, let etag = FileSystem.text(etagFile), !etag.isEmpty {
      start = size
      request.setValue("bytes=\(size)-", forHTTPHeaderField: "Range")
      request.setValue(etag, forHTTPHeaderField: "If-Range")
    }
    let download = HubDownload(
      request: request, part: part, etagFile: etagFile, start: start, stallSeconds: seconds, hasToken: token != nil,
      progress: progress)
    return try await download.run().get()
  }
}
