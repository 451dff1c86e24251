import Foundation
import ServingAPI

/// What Prometheus' client libraries tell of every process, from `/proc/self`.
enum ProcessMetrics {
  static func add(to registry: PrometheusRegistry) {
    let started = Date().timeIntervalSince1970
    registry.gauge("process_resident_memory_bytes", help: "Resident memory size in bytes.") { pages(1) }
    registry.gauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.") { pages(0) }
    registry.gauge(
      "process_start_time_seconds", help: "Start time of the process since unix epoch in seconds."
    ) { started }
    registry.counter("process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.") {
      cpuSeconds
    }
    registry.gauge("process_open_fds", help: "Number of open file descriptors.") {
      Double((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0)
    }
  }

  /// - Parameter field: of `/proc/self/statm`.
  private static func pages(_ field: Int) -> Double {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.indices.contains(field) ? (Double(fields[field]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) : 0
  }

  private static var cpuSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
