import Foundation

/// The GPUs that workers may be given.
package struct GPUInventory: Equatable, Sendable {
  /// By the machine's own numbers, in the order in which they are given out.
  package let usable: [Int]

  package init(usable: [Int]) { self.usable = usable }

  /// What the machine has, less what `CUDA_VISIBLE_DEVICES` takes away.
  package static func ofThisMachine(
    environment: [String: String] = ProcessInfo.processInfo.environment, devices: String = "/dev"
  ) -> GPUInventory {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: devices)) ?? []
    let present = names.compactMap { $0.hasPrefix("nvidia") ? Int($0.dropFirst("nvidia".count)) : nil }.sorted()
    guard let visible = environment["CUDA_VISIBLE_DEVICES"] else { return GPUInventory(usable: present) }
    let chosen = visible.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    return GPUInventory(usable: chosen.filter(present.contains))
  }

  /// Gives prefillers, then decoders, their GPUs: the example's order.
  ///
  /// - Throws: `GPUShortage` if there are some, but not enough.
  package func assign(to deployment: inout Deployment, perWorker: Int) throws(GPUShortage) {
    let order = deployment.workers.indices.filter { deployment.workers[$0].engine == .vllm }
      .sorted { rank($0, deployment) < rank($1, deployment) }
    let needed = order.count * perWorker
    guard needed <= usable.count else {
      throw GPUShortage(needed: needed, usable: usable, workers: order.count, perWorker: perWorker)
    }
    for (place, index) in order.enumerated() {
      deployment.workers[index].gpus = Array(usable[place * perWorker..<(place + 1) * perWorker])
    }
  }

  private func rank(_ index: Int, _ deployment: Deployment) -> (Int, Int) {
    (deployment.workers[index].role == .prefiller ? 0 : 1, index)
  }
}

package struct GPUShortage: Error, CustomStringConvertible {
  let needed: Int
  let usable: [Int]
  let workers: Int
  let perWorker: Int

  package var description: String {
    """
    \(workers) workers with \(perWorker) GPU\(perWorker == 1 ? "" : "s") each need \(needed), and there are \
    \(usable.count)\(usable.isEmpty ? "" : " (\(usable.map(String.init).joined(separator: ", ")))"): start fewer \
    workers, widen CUDA_VISIBLE_DEVICES, or compute on the CPU with --gpus none.
    """
  }
}
