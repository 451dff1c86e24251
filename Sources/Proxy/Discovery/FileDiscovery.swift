import HTTPServer

/// Workers of a file, looked at again and again: a write, a rename and a link that points elsewhere are seen.
package struct FileDiscovery: WorkerDiscovery {
  private let path: String
  private let interval: Duration
  private let read: @Sendable (String) throws -> [WorkerEndpoint]

  /// - Parameter read: What the file at a path says; may block while it reads.
  package init(path: String, interval: Duration, read: @escaping @Sendable (String) throws -> [WorkerEndpoint]) {
    self.path = path
    self.interval = interval
    self.read = read
  }

  package func run(_ report: @escaping @Sendable (Result<[WorkerEndpoint], DiscoveryError>) -> Void) async {
    var file: WatchedFiles<[WorkerEndpoint]>?
    repeat {
      do {
        if let file {
          guard try file.refresh() else { continue }
        } else {
          let (path, read) = (self.path, self.read)
          file = try WatchedFiles([path]) { try read(path) }
        }
        if let file { report(.success(file.value)) }
      } catch {
        report(.failure(.file(path, reason: "\(error)")))
      }
    } while (try? await Task.sleep(for: interval)) != nil
  }
}
