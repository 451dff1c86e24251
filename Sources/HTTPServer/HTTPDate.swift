import Glibc
import Synchronization

/// The field line `Date` (RFC 9110 §6.6.1), made once a second for all event loops. A `Mutex` guards it: the few words
/// are read in less time than a loop's own copy would be found.
enum HTTPDate {
  private static let latest = Mutex((second: -1, line: ""))

  /// Now, with CR LF.
  static var line: String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME_COARSE, &now)
    let second = now.tv_sec
    return latest.withLock { latest in
      if latest.second != second { latest = (second, "date: \(text(second))\r\n") }
      return latest.line
    }
  }

  /// - Parameter second: Since 1970.
  /// - Returns: An IMF-fixdate, in English whatever the locale: `Sun, 06 Nov 1994 08:49:37 GMT`.
  private static func text(_ second: Int) -> String {
    var second = second
    var parts = tm()
    gmtime_r(&second, &parts)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let day = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year)"
    return "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
  }
}
