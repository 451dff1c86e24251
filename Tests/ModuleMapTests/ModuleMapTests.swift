import Foundation
import Testing

/// Holds `Package.swift` and every `import` under `Sources/` to the module map: SwiftPM lets an undeclared import build.
struct ModuleMapTests {
  /// What a module may import of ours. The map's arrows point downward: no module names one that stands above it.
  private static let mayImport: [(module: String, imports: Set<String>)] = [
    ("CLinux", []),
    ("CKernels", []),
    ("CNixl", []),
    ("CPeaks", []),
    ("ServingAPI", []),
    ("Grammars", ["ServingAPI"]),
    ("ModelFiles", []),
    ("KVBlocks", ["CLinux"]),
    ("Kernels", ["CKernels", "CLinux"]),
    ("Tokenization", ["ModelFiles"]),
    ("ModelStore", []),
    ("Launcher", []),
    ("HTTPServer", []),
    ("Models", ["ModelFiles", "KVBlocks", "Kernels"]),
    ("EngineBench", ["CPeaks", "ModelFiles", "KVBlocks", "Kernels", "Models"]),
    ("KVTransfer", ["CLinux", "CNixl", "KVBlocks"]),
    ("TransferBench", ["CLinux", "CNixl", "KVBlocks", "KVTransfer"]),
    ("KVOffload", ["CLinux", "KVBlocks"]),
    ("Engine", ["Models", "KVBlocks", "KVOffload", "KVTransfer"]),
    (
      "Worker",
      [
        "ServingAPI", "HTTPServer", "Tokenization", "ModelFiles", "Models", "Kernels", "Engine", "KVTransfer",
        "KVBlocks", "KVOffload", "Grammars",
      ]
    ),
    ("Proxy", ["ServingAPI", "HTTPServer"]),
    ("Bench", ["ServingAPI", "Tokenization"]),
    (
      "xpyd",
      [
        "Launcher", "ServingAPI", "ModelStore", "ModelFiles", "Tokenization", "Worker", "Proxy", "Engine", "KVBlocks",
        "KVOffload", "KVTransfer", "TransferBench", "EngineBench", "Bench", "Kernels",
      ]
    ),
  ]

  /// What a module may import of others' packages and the system; `*` is every module that is not ours.
  private static let outside: [String: Set<String>] = [
    "KVBlocks": ["Glibc", "Crypto"],
    "KVOffload": ["Glibc", "Synchronization", "Dispatch", "Logging"],
    "ModelFiles": ["Glibc"],
    "Tokenization": ["Foundation", "Glibc"],
    "Kernels": ["Glibc", "Synchronization"],
    "Models": ["Glibc"],
    "ServingAPI": ["Foundation", "Synchronization"],
    "Grammars": ["Synchronization"],
    "Engine": ["Glibc", "Synchronization", "DequeModule", "Logging"],
    "KVTransfer": ["Glibc", "Synchronization", "Crypto", "Logging"],
  ]

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  @Test func `Every folder of Sources stands in the map, and the map has no cycle`() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("Sources").path)
    #expect(Set(folders) == Set(Self.mayImport.map(\.module)))
    var above: Set<String> = []
    for (module, imports) in Self.mayImport {
      #expect(imports.isSubset(of: above), "\(module) imports a module that stands below it in the table")
      above.insert(module)
    }
  }

  @Test(arguments: mayImport.map(\.module))
  func `A module imports only what the map allows`(module: String) throws {
    let ours = Set(Self.mayImport.map(\.module))
    let allowed = Self.mayImport.first { $0.module == module }!.imports
    for (file, imported) in try imports(of: module) {
      if ours.contains(imported) {
        #expect(allowed.contains(imported), "\(file) imports \(imported)")
      } else if let outside = Self.outside[module] {
        #expect(outside.contains(imported), "\(file) imports \(imported)")
      }
    }
  }

  @Test(arguments: mayImport.map(\.module))
  func `Package.swift declares what a module imports of ours`(module: String) throws {
    let manifest = try String(contentsOf: Self.root.appendingPathComponent("Package.swift"), encoding: .utf8)
    // The package has the executable's name, and comes first.
    guard let start = manifest.range(of: "name: \"\(module)\"", options: .backwards) else {
      Issue.record("Package.swift has no target \(module)")
      return
    }
    let rest = manifest[start.upperBound...]
    let end = rest.range(of: "arget(")?.lowerBound ?? rest.endIndex
    let ours = Set(Self.mayImport.map(\.module))
    for (file, imported) in try imports(of: module) where ours.contains(imported) {
      #expect(rest[..<end].contains("\"\(imported)\""), "\(file) imports \(imported), Package.swift does not say so")
    }
  }

  /// Every `import` line in the module's Swift files, as (file, module).
  private func imports(of module: String) throws -> [(String, String)] {
    let folder = Self.root.appendingPathComponent("Sources").appendingPathComponent(module)
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)!
    var found: [(String, String)] = []
    for case let file as URL in files where file.pathExtension == "swift" {
      for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
        let words = line.split(separator: " ")
        guard let keyword = words.firstIndex(of: "import"), keyword < 3,
          words[..<keyword].allSatisfy({ $0.hasPrefix("@") || $0 == "package" || $0 == "internal" })
        else { continue }
        // `import struct Foundation.Data` names its module before the dot.
        let name = words.count > keyword + 2 ? words[keyword + 2] : words[keyword + 1]
        found.append((file.lastPathComponent, String(name.split(separator: ".")[0])))
      }
    }
    return found
  }
}
