import Glibc
import KVBlocks
import ModelFiles
import Models

package enum EngineBenchError: Error {
  case unreadableModel(any Error)
  case unusableModel(ModelError)
  case beyondContext(BenchTest, limit: Int)
  case noKVMemory(KVMemoryError)
  case noMemory(bytes: Int, errno: Int32)
}

extension EngineBenchError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unreadableModel(let error): "\(error)"
    case .unusableModel(let error): "\(error)"
    case .beyondContext(let test, let limit):
      "\(test) needs a context of \(test.contextLength) tokens, the model has \(limit). Leave it out with --tests."
    case .noKVMemory(let error): "cannot map \(error). Take a smaller batch or depth with --tests."
    case .noMemory(let bytes, let errno):
      "cannot map \(bytes) bytes to read from: \(String(cString: strerror(errno)))"
    }
  }
}
