import Foundation
import Yams

/// Topology files: a `Deployment` as YAML.
package enum DeploymentFile {
  /// Words that the proxy knows; the launcher does not.
  package struct Vocabulary: Sendable {
    package var handoffs: [String]
    package var policies: [String]

    package init(handoffs: [String], policies: [String]) {
      self.handoffs = handoffs
      self.policies = policies
    }
  }

  /// Whether an argument of `xpyd up` means a file, and not `2p1d`.
  package static func isPath(_ argument: String) -> Bool {
    argument.hasSuffix(".yaml") || argument.hasSuffix(".yml") || argument.contains("/")
  }

  /// - Throws: `DeploymentFileError` with everything that is wrong, each with its line.
  package static func read(_ path: String, vocabulary: Vocabulary) throws(DeploymentFileError) -> Deployment {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw DeploymentFileError(
        path: path,
        problems: [
          .init(line: nil, text: "there is no such file; xpyd up 2p1d --print-config writes one to begin with")
        ])
    }
    return try parse(String(decoding: data, as: UTF8.self), path: path, vocabulary: vocabulary)
  }

  package static func parse(
    _ text: String, path: String, vocabulary: Vocabulary
  ) throws(DeploymentFileError) -> Deployment {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw DeploymentFileError(path: path, problems: [.init(of: error)])
    }
    var reader = DeploymentReader(vocabulary: vocabulary)
    let deployment = reader.deployment(root)
    if let deployment, reader.problems.isEmpty {
      reader.problems = deployment.contradictions.map { found in
        .init(line: found.worker.map { reader.workerLines[$0] } ?? nil, text: found.text)
      }
    }
    guard let deployment, reader.problems.isEmpty else {
      throw DeploymentFileError(path: path, problems: reader.problems)
    }
    return deployment
  }
}

/// A topology file that cannot be used: a line for each fault, as compilers write them.
package struct DeploymentFileError: Error, CustomStringConvertible {
  package struct Problem: Equatable, Sendable {
    package let line: Int?
    package let text: String
  }

  let path: String
  package let problems: [Problem]

  package var description: String {
    problems.map { "\(path)\($0.line.map { ":\($0)" } ?? ""): \($0.text)" }.joined(separator: "\n")
  }
}

extension DeploymentFileError.Problem {
  /// What is no YAML.
  init(of error: any Error) {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      self.init(line: mark.line, text: "this is no YAML: \(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      self.init(
        line: context.mark.line, text: "the key \(keys.map { "\($0)" }.joined(separator: ", ")) stands here twice")
    default: self.init(line: nil, text: "this is no YAML: \(error)")
    }
  }
}
