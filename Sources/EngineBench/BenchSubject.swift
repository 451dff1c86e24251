import Glibc
import Kernels
import ModelFiles
import Models

/// What was measured, and where.
package struct BenchSubject: Equatable, Sendable {
  package let modelPath: String
  package let modelBytes: Int
  /// As the system names it.
  package let processor: String
  package let instructionSet: String
  package let activations: ActivationType

  package init(
    modelPath: String, modelBytes: Int, processor: String, instructionSet: String, activations: ActivationType
  ) {
    self.modelPath = modelPath
    self.modelBytes = modelBytes
    self.processor = processor
    self.instructionSet = instructionSet
    self.activations = activations
  }

  init(file: any ModelFile, model: LlamaModel, activations: ActivationType) {
    self.init(
      modelPath: file.path, modelBytes: model.loadReport.fileBytes, processor: Self.processorName(),
      instructionSet: InstructionSet.best.name, activations: activations)
  }

  /// The first "model name" of /proc/cpuinfo; ARM's has none.
  private static func processorName() -> String {
    guard let file = fopen("/proc/cpuinfo", "re") else { return "unknown" }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { Glibc.free(line) }
    while getline(&line, &capacity, file) > 0, let text = line.map({ String(cString: $0) }) {
      guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
      return String(text[text.index(after: colon)...].drop { $0 == " " }.prefix { $0 != "\n" })
    }
    return "unknown"
  }
}
