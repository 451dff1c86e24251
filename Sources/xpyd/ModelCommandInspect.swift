import ArgumentParser
import Foundation
import ModelFiles
import ModelStore

extension ModelCommand {
  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a model's metadata, tensors and sizes.")

    @Argument(help: "A model's name, or the path of a .gguf file or a Hugging Face folder.")
    var model = defaultModel

    func run() throws {
      let file = try openModel(path: try resolve(model))
      let format = (file as? GGUFFile).map { "GGUF version \($0.version)" } ?? "Hugging Face folder, in GGUF's names"
      print("\(file.path): \(format), \(ModelPullDisplay.size(file.byteCount))")
      printMetadata(file)
      printTensors(file)
      printTotals(file)
    }

    private func printMetadata(_ file: any ModelFile) {
      print("\nMetadata (\(file.metadata.keys.count)):")
      for key in file.metadata.keys {
        guard let value = file.metadata[key]?.description else { continue }
        print("  \(key) = \(value.count > 160 ? value.prefix(160) + "…" : value)")
      }
    }

    private func printTensors(_ file: any ModelFile) {
      print("\nTensors (\(file.tensors.count)): name, type, shape (fastest first), bytes, offset")
      let width = file.tensors.map(\.name.count).max() ?? 0
      for tensor in file.tensors {
        let name = tensor.name.padding(toLength: width, withPad: " ", startingAt: 0)
        let shape = tensor.dimensions.map(String.init).joined(separator: "×")
        print("  \(name)  \(tensor.type)  \(shape)  \(tensor.byteRange.count)  \(tensor.byteRange.lowerBound)")
      }
    }

    private func printTotals(_ file: any ModelFile) {
      print("\nBy type:")
      for (type, tensors) in Dictionary(grouping: file.tensors, by: \.type).sorted(by: {
        $0.key.rawValue < $1.key.rawValue
      }) {
        let bytes = tensors.reduce(0) { $0 + $1.byteRange.count }
        print(
          "  \(type): \(tensors.count) tensors, \(tensors.reduce(0) { $0 + $1.elementCount }) weights, \(ModelPullDisplay.size(bytes))"
        )
      }
      print("  all: \(file.tensors.reduce(0) { $0 + $1.elementCount }) weights")
    }
  }
}
