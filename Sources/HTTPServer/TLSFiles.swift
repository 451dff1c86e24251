import NIOSSL

/// A server's certificate and key, read again when their files change. Connections that are open keep theirs.
package final class TLSFiles: Sendable {
  private let context: WatchedFiles<NIOSSLContext>

  /// - Parameters: certificate: PEM, the server's own first, then those that lead to the root. key: PEM.
  /// - Throws: `TLSFilesError`.
  package init(certificate: String, key: String) throws {
    context = try WatchedFiles([certificate, key]) { try Self.load(certificate: certificate, key: key) }
  }

  func newHandler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context.value) }

  /// Blocks while the files are read.
  ///
  /// - Returns: Whether new connections get another certificate from now on.
  /// - Throws: `TLSFilesError`; the certificate before is used on.
  package func refresh() throws -> Bool { try context.refresh() }

  private static func load(certificate: String, key: String) throws(TLSFilesError) -> NIOSSLContext {
    do {
      let chain = try NIOSSLCertificate.fromPEMFile(certificate)
      guard !chain.isEmpty else { throw TLSFilesError.unusable(certificate, reason: "it holds no certificate") }
      let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
      configuration.minimumTLSVersion = .tlsv12
      configuration.applicationProtocols = ["http/1.1"]
      return try NIOSSLContext(configuration: configuration)
    } catch let error as TLSFilesError {
      throw error
    } catch {
      throw .unusable("\(certificate), \(key)", reason: "\(error)")
    }
  }
}

package enum TLSFilesError: Error, Equatable, CustomStringConvertible {
  case unusable(String, reason: String)

  package var description: String {
    switch self {
    case .unusable(let files, let reason):
      "TLS cannot be served with \(files): \(reason). Give a PEM certificate chain and its PEM key."
    }
  }
}
