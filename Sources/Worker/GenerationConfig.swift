import ModelFiles
import ServingAPI

extension SamplingDefaults {
  /// What a model's folder recommends in its generation_config.json, as vLLM reads it: whatever `do_sample` says.
  init(of file: any ModelFile) throws(WorkerError) {
    self.init()
    guard let folder = file as? HuggingFaceFolder else { return }
    let path = "\(folder.path)/generation_config.json"
    do {
      guard let config = try folder.json("generation_config.json") else { return }
      try read(config, path)
      try validate()
    } catch let error as APIError {
      throw .model("\(path): \(error.message) Mend it, or start with --generation-config vllm.")
    } catch {
      throw .model("\(error)")
    }
  }

  private mutating func read(_ config: JSONValue, _ path: String) throws(ModelFolderError) {
    func number(_ field: String, or standard: Double) throws(ModelFolderError) -> Double {
      guard let value = config[field] else { return standard }
      guard let number = value.double else { throw .invalidField(path: path, field: field, expected: "a number") }
      return number
    }
    func integer(_ field: String) throws(ModelFolderError) -> Int? {
      guard let value = config[field] else { return nil }
      guard let integer = value.integer else { throw .invalidField(path: path, field: field, expected: "an integer") }
      return integer
    }
    temperature = try number("temperature", or: temperature)
    topP = try number("top_p", or: topP)
    topK = try integer("top_k") ?? topK
    minP = try number("min_p", or: minP)
    repetitionPenalty = try number("repetition_penalty", or: repetitionPenalty)
    maxTokens = try integer("max_new_tokens")
  }
}
