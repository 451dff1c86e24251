import Testing

import ServingAPI

struct PrometheusTests {
  @Test func `Counters, gauges and histograms render as Prometheus reads them`() {
    let registry = PrometheusRegistry(constantLabels: [("model_name", "a\"b")])
    let success = registry.counter("vllm:ok_total", help: "Ok.", labels: [("reason", "stop")])
    registry.counter("vllm:ok_total", help: "Ok.", labels: [("reason", "length")]).increment(by: 2)
    registry.gauge("process_open_fds", help: "Files.") { 34 }
    let times = registry.histogram("vllm:time_seconds", help: "Time.", buckets: [0.5, 1])
    success.increment()
    for value in [0.5, 0.75, 3] { times.observe(value) }
    #expect(
      registry.render() == """
        # HELP vllm:ok_total Ok.
        # TYPE vllm:ok_total counter
        vllm:ok_total{model_name="a\\"b",reason="stop"} 1.0
        vllm:ok_total{model_name="a\\"b",reason="length"} 2.0
        # HELP process_open_fds Files.
        # TYPE process_open_fds gauge
        process_open_fds 34.0
        # HELP vllm:time_seconds Time.
        # TYPE vllm:time_seconds histogram
        vllm:time_seconds_bucket{model_name="a\\"b",le="0.5"} 1.0
        vllm:time_seconds_bucket{model_name="a\\"b",le="1.0"} 2.0
        vllm:time_seconds_bucket{model_name="a\\"b",le="+Inf"} 3.0
        vllm:time_seconds_count{model_name="a\\"b"} 3.0
        vllm:time_seconds_sum{model_name="a\\"b"} 4.25

        """)
  }

  @Test func `Concurrent observations are all counted`() async {
    let histogram = PrometheusRegistry().histogram("h", help: "H.", buckets: [1])
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { for _ in 0..<100 { histogram.observe(1) } } }
    }
    #expect(histogram.snapshot.counts == [800, 0])
    #expect(histogram.snapshot.sum == 800)
  }
}
