extension GGUFFile {
  /// Calls `body` with the bytes that tell this model from others, always in the same order, for the caller to hash:
  /// the whole header (metadata, vocabulary, shapes), then the first 4 KiB of each tensor in file order.
  ///
  /// Not the whole file: hashing 100 MB to 10 GB would take longer than loading it, and a model that differs from
  /// another only behind the first 4 KiB of every tensor is one that somebody made to deceive.
  package func forEachFingerprintChunk(_ body: (UnsafeRawBufferPointer) -> Void) {
    body(bytes(in: headerRange))
    for tensor in tensors { body(bytes(in: tensor.byteRange.prefix(4096))) }
  }
}
