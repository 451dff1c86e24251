extension Launcher {
  /// What a launcher is told: the children to start, when to give one up, and where their logs go.
  package struct Configuration: Sendable {
    package var plan: LaunchPlan
    package var settings: Deployment.Supervision
    package var logs: Deployment.Logs
    /// Ports besides the children's own that must be free, with the child that will bind them.
    package var sidePorts: [(child: String, port: Int)] = []
    /// What watches over programs that are not xpyd itself; nil if there are none.
    package var orphanGuard: (@Sendable (_ deployment: String) -> LaunchPlan.Command)?
    package var probe = HealthProbe()

    package init(plan: LaunchPlan, settings: Deployment.Supervision, logs: Deployment.Logs) {
      self.plan = plan
      self.settings = settings
      self.logs = logs
    }
  }
}
