import Glibc

/// The real model that the golden tests run: `$XPYD_TEST_MODEL`, else SmolLM2-135M-Instruct where `xpyd model pull` puts it.
package func referenceModelPath() throws -> String {
  let path: String
  if let override = environment("XPYD_TEST_MODEL") {
    path = override
  } else {
    let cache = environment("XDG_CACHE_HOME") ?? "\(environment("HOME") ?? "")/.cache"
    path = "\(cache)/xpyd/models/smollm2-135m-instruct.gguf"
  }
  guard access(path, R_OK) == 0 else { throw MissingReferenceModel(path: path) }
  return path
}

package struct MissingReferenceModel: Error, CustomStringConvertible {
  package let path: String
  package var description: String { "There is no model at \(path): run `make model`, or set XPYD_TEST_MODEL." }
}

private func environment(_ name: String) -> String? {
  guard let value = getenv(name) else { return nil }
  return value.pointee == 0 ? nil : String(cString: value)
}
