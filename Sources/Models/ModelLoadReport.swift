/// What loading a model took.
package struct ModelLoadReport: Sendable {
  /// Of the model file.
  package let fileBytes: Int
  /// Of the repacked copy of the matrices; the file's own pages are read again only for token embeddings.
  package let packedBytes: Int
  package let duration: Duration
}
