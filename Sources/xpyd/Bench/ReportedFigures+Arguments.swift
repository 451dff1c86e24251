import ArgumentParser
import Bench

extension ReportedFigures {
  /// `ttft,tpot,itl`
  static func metrics(_ list: String) throws -> [LatencyMetric] {
    try list.split(separator: ",").map { word in
      guard let metric = LatencyMetric(rawValue: String(word)) else {
        let known = LatencyMetric.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--percentile-metrics knows \(known), not \(word).")
      }
      return metric
    }
  }

  /// `50,99.9`
  static func percentiles(_ list: String) throws -> [Double] {
    try list.split(separator: ",").map { word in
      guard let rank = Double(word), (0...100).contains(rank) else {
        throw ValidationError("--metric-percentiles takes numbers from 0 to 100, not \(word).")
      }
      return rank
    }
  }

  /// `ttft:500`, `tpot:50`
  static func objectives(_ words: [String]) throws -> [ServiceObjective] {
    try words.map { word in
      guard let objective = ServiceObjective(word) else {
        throw ValidationError("--goodput takes ttft:MS, tpot:MS and e2el:MS, not \(word).")
      }
      return objective
    }
  }
}
