/// vLLM's histogram bounds, so that its dashboards and alert rules fit ours.
package enum MetricBuckets {
  package static let timeToFirstToken = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
  ]
  package static let interTokenLatency = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  ]
  package static let requestLatency = [
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
  ]
  package static let tokens: [Double] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
  package static let choices: [Double] = [1, 2, 5, 10, 20]
  package static let transferTime = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5]
  package static let transferBytes: [Double] = [
    2048, 8192, 32768, 131_072, 524_288, 2_097_152, 8_388_608, 33_554_432, 134_217_728, 536_870_912, 2_147_483_648,
    8_589_934_592,
  ]
  package static let transferDescriptors: [Double] = [
    10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000,
  ]
}
