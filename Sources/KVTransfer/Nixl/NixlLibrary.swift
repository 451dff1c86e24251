import CNixl
import Glibc

/// NIXL's library, found and opened at run time, as its Python wheel installs it.
package struct NixlLibrary: Sendable {
  package let path: String
  // SAFETY: filled by `xn_load`, and neither written nor freed afterwards.
  package nonisolated(unsafe) let calls: UnsafePointer<xn_functions>

  /// - Parameter named: The library's file, or the folder of Python packages where the wheel is installed; nil: wherever
  ///   Python would look for it.
  /// - Throws: `nixlUnavailable`.
  package static func open(_ named: String?) throws(KVTransferError) -> NixlLibrary {
    let path = try find(named)
    // Unless told otherwise: UCX's cache of registrations would grow for as long as a worker runs, and SIGHUP would be its
    // signal to log all that it does.
    setenv("UCX_RCACHE_MAX_UNRELEASED", "1024", 0)
    setenv("UCX_DEBUG_SIGNO", "0", 0)
    var problem = [CChar](repeating: 0, count: 512)
    guard let calls = xn_load(path, &problem, problem.count) else {
      let text = String(decoding: problem.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw .nixlUnavailable(reason: "\(path): \(text)")
    }
    return NixlLibrary(path: path, calls: calls)
  }

  private static func find(_ named: String?) throws(KVTransferError) -> String {
    if let named, access("\(named)/.", F_OK) != 0 { return named }
    let folders = named.map { [$0] } ?? pythonFolders
    for folder in folders {
      if let path = glob("\(folder)/.nixl_cu*.mesonpy.libs/libnixl_capi.so").first { return path }
    }
    throw .nixlUnavailable(reason: "there is no libnixl_capi.so in \(folders.joined(separator: ", "))")
  }

  /// Patterns of the folders that Python packages are installed in.
  private static var pythonFolders: [String] {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let named = variable("PYTHONPATH").map { $0.split(separator: ":").map(String.init) } ?? []
    let environment = variable("VIRTUAL_ENV").map { ["\($0)/lib/python3*/site-packages"] } ?? []
    let system = ["/usr/local/lib/python3*/site-packages", "/usr/local/lib/python3*/dist-packages"]
    return named + environment + system + ["/usr/lib/python3*/dist-packages"]
  }

  private static func glob(_ pattern: String) -> [String] {
    var matches = glob_t()
    defer { globfree(&matches) }
    guard Glibc.glob(pattern, 0, nil, &matches) == 0, let paths = matches.gl_pathv else { return [] }
    return (0..<Int(matches.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
  }
}
