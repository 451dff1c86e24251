/// What `xpyd --version` and `/version` tell.
enum Version {
  static let text = "0.1.0"
}
