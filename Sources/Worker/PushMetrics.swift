import Engine
import KVTransfer
import ServingAPI

/// The figures of push mode, read at each scrape.
extension WorkerMetrics {
  func add(_ pusher: Pusher) {
    registry.counters("xpyd:kv_pushes_total", help: "Prompts for the receiver, by what came of it.", label: "outcome") {
      [weak pusher] in
      (pusher?.statistics ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, Double($0.value)) }
    }
  }

  func add(_ receiver: PushReceiver, _ engine: Engine) {
    func gauge(_ name: String, _ help: String, _ read: @escaping @Sendable (ReceiveStatistics) -> Int) {
      registry.gauge(name, help: help) { [weak receiver] in receiver.map { Double(read($0.statistics)) } ?? 0 }
    }
    func counter(_ name: String, _ help: String, _ read: @escaping @Sendable (ReceiveStatistics) -> Int) {
      registry.counter(name, help: help) { [weak receiver] in receiver.map { Double(read($0.statistics)) } ?? 0 }
    }
    gauge("xpyd:kv_receive_buffer_blocks_free", "Blocks of the receive buffer that hold nothing.", \.freeBlocks)
    gauge("xpyd:kv_receive_buffer_prompts", "Prompts whose KV is in the receive buffer.", \.storedPrompts)
    gauge("xpyd:kv_receive_waiting", "Prompts that wait for room in the receive buffer.", \.waiting)
    counter("xpyd:kv_received_total", "Prompts whose KV was pushed here.", \.stored)
    counter("xpyd:kv_receive_failures_total", "Prompts that had room here and did not arrive.", \.failed)
    counter("xpyd:kv_receive_hits_total", "Prompts of requests whose KV was in the receive buffer.", \.hits)
    counter("xpyd:kv_receive_misses_total", "Prompts of requests whose KV was not.", \.misses)
    counter("xpyd:kv_receive_evicted_unread_total", "Prompts given up that no request had read.") { $0.evicted.unread }
    registry.counter("xpyd:kv_pulls_total", help: "Prompts whose KV was pulled.") { [weak engine] in
      Double(engine?.statistics.pullSuccesses ?? 0)
    }
    registry.counters("xpyd:kv_pulled_bytes_total", help: "Bytes of KV pulled, by transport.", label: "transport") {
      [weak receiver] in
      (receiver?.transferStatistics.bytesByTransport ?? [:]).sorted { $0.key < $1.key }.map {
        ($0.key, Double($0.value))
      }
    }
  }
}
