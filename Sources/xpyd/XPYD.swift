import ArgumentParser
import Launcher

/// The one binary: every process of a deployment, and the tools around it.
@main
package struct XPYD: AsyncParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "xpyd",
    abstract: "Disaggregated LLM serving: X prefillers, Y decoders, one OpenAI endpoint.",
    version: Version.text,
    subcommands: [
      UpCommand.self, ServeCommand.self, ProxyCommand.self, BenchCommand.self, ModelCommand.self, DoctorCommand.self,
      TopCommand.self, GuardCommand.self,
    ])

  package init() {}

  package static func main() async {
    StopOnEndOfInput.watchIfAsked()
    UnsupportedFlags.refuseIfBench(CommandLine.arguments)
    await main(nil)
  }
}
