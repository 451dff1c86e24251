import Foundation
import ModelStore
import Testing

struct ModelCacheTests {
  let scratch: ScratchFolder
  let cache: ModelCache

  init() throws {
    scratch = try ScratchFolder()
    cache = ModelCache(environment: ["XDG_CACHE_HOME": scratch.path])
  }

  @Test(arguments: [
    (["XDG_CACHE_HOME": "/x", "HOME": "/h"], "/x/xpyd/models"), (["HOME": "/h"], "/h/.cache/xpyd/models"),
    (["XDG_CACHE_HOME": "", "HOME": "/h"], "/h/.cache/xpyd/models"),
  ])
  func `The folder is the user's cache`(environment: [String: String], folder: String) {
    #expect(ModelCache(environment: environment).folder == folder)
  }

  @Test func `Pulled models are listed and found by their names`() throws {
    try scratch.write("GGUF1", to: "xpyd/models/b.gguf")
    try scratch.write("GGUF22", to: "xpyd/models/hf/org/repo/a.gguf")
    try scratch.write("GGU", to: "xpyd/models/c.gguf.part")
    #expect(cache.list().map(\.name) == ["b", "hf:org/repo/a.gguf"])
    #expect(cache.list().map(\.byteCount) == [5, 6])
    for entry in cache.list() { #expect(try cache.resolve(entry.name) == entry.path) }
  }

  @Test func `A path works where a name does`() throws {
    try scratch.write("GGUF", to: "m.gguf")
    #expect(try cache.resolve(scratch.path + "/m.gguf") == scratch.path + "/m.gguf")
    #expect(throws: ModelStoreError.noSuchFile(path: "/no/m.gguf")) { try cache.resolve("/no/m.gguf") }
    try scratch.write("PK", to: "zip.gguf")
    #expect(throws: ModelStoreError.notGGUF(path: scratch.path + "/zip.gguf")) {
      try cache.resolve(scratch.path + "/zip.gguf")
    }
  }

  @Test func `An unknown name is answered with what is there and how to pull it`() throws {
    try scratch.write("GGUF1", to: "xpyd/models/b.gguf")
    #expect {
      try cache.resolve("llama")
    } throws: {
      "\($0)".contains("there is b") && "\($0)".contains("xpyd model pull llama")
    }
  }
}
