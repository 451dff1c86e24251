import Glibc

/// Why evicted KV cannot be kept, or not be read again.
package enum OffloadError: Error, Sendable, Equatable {
  case tierTooSmall(OffloadTier, bytes: Int, bytesPerBlock: Int)
  /// Opening the tier's files failed.
  case unusableFile(path: String, call: String, errno: Int32)
  /// Somebody else's file has the name of ours.
  case foreignFile(path: String)
  /// Every one of the folder's files is in use by a worker.
  case folderInUse(path: String, workers: Int)
  case failedIO(call: String, errno: Int32)
  /// What was read is not what was written.
  case corruptBlock

  /// For metrics.
  package var label: String {
    switch self {
    case .tierTooSmall: "tier_too_small"
    case .unusableFile: "unusable_file"
    case .foreignFile: "foreign_file"
    case .folderInUse: "folder_in_use"
    case .failedIO: "io"
    case .corruptBlock: "corrupt"
    }
  }
}

extension OffloadError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tierTooSmall(let tier, let bytes, let bytesPerBlock):
      "the \(tier.rawValue) tier has \(bytes) bytes, and one KV block takes \(bytesPerBlock). Raise "
        + (tier == .memory ? "--kv-offloading-size." : "--kv-offloading-disk-size.")
    case .unusableFile(let path, let call, let code):
      "\(path): \(call): \(String(cString: strerror(code))). Give --kv-offloading-disk a folder that this user may write to."
    case .foreignFile(let path):
      "\(path) is no file of offloaded KV, and stays as it is. Give --kv-offloading-disk a folder of its own."
    case .folderInUse(let path, let workers):
      "\(workers) workers keep their KV in \(path) already. Give --kv-offloading-disk another folder."
    case .failedIO(let call, let code): "\(call): \(String(cString: strerror(code)))"
    case .corruptBlock: "the block's checksum is not that of what was written"
    }
  }
}
