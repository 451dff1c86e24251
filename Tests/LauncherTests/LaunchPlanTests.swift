import Testing

import Launcher

struct LaunchPlanTests {
  private func plan(_ topology: String, configure: (inout Deployment) -> Void = { _ in }) throws -> LaunchPlan {
    var deployment = Deployment(try Topology(topology), model: "m.gguf", servedModelNames: ["m"])
    configure(&deployment)
    return LaunchPlan(deployment, programs: .init(xpyd: "/bin/xpyd", isLocal: { $0 == "127.0.0.1" }))
  }

  @Test(arguments: [("1p1d", 1, 1), ("2p1d", 2, 1), ("3p2d", 3, 2), ("64p64d", 64, 64)])
  func `A topology reads as it is written`(text: String, prefillers: Int, decoders: Int) throws {
    let topology = try Topology(text)
    #expect(topology.prefillers == prefillers)
    #expect(topology.decoders == decoders)
    #expect(topology.description == text)
  }

  @Test(arguments: [
    "", "2p", "p1d", "0p1d", "2p0d", "2d1p", "65p1d", "2p1dx", "-1p1d", "1p1", "2P1D", "99999999999999999999p1d",
  ])
  func `What is no topology is an error that shows it`(text: String) {
    let error = #expect(throws: TopologyError.self) { try Topology(text) }
    #expect(error?.description.contains("'\(text)'") == true)
  }

  @Test func `Names, ports and logs are the example's`() throws {
    let children = try plan("2p1d").stages.flatMap { $0 }
    #expect(children.map(\.name) == ["decoder", "prefiller1", "prefiller2", "proxy"])
    #expect(children.map(\.port) == [8200, 8100, 8101, 9000])
    #expect(children.map(\.logFile) == ["decoder.log", "prefiller1.log", "prefiller2.log", "proxy.log"])
  }

  @Test func `Several decoders are numbered, and the proxy gets all addresses`() throws {
    let plan = try plan("1p2d")
    #expect(plan.stages[0].map(\.logFile) == ["decoder1.log", "decoder2.log"])
    let arguments = try #require(plan.proxy.command).arguments
    #expect(
      arguments.suffix(6) == [
        "--decoder-host", "127.0.0.1,127.0.0.1", "--decoder-port", "8200,8201", "--num-decoders", "2",
      ])
  }

  @Test func `A worker of another machine has no command, and the proxy its address`() throws {
    let plan = try plan("2p1d") { $0.workers[1].host = "p2.example" }
    let remote = try #require(plan.stages[1].last)
    #expect(remote.name == "prefiller2" && remote.command == nil && remote.host == "p2.example")
    #expect(plan.proxy.command?.arguments.contains("127.0.0.1,p2.example") == true)
  }

  @Test func `Workers that do both stand beside the decoders`() throws {
    let plan = try plan("1p1d") {
      $0.workers = [$0.workers[1]].map {
        var both = $0; both.role = .both; return both
      }
    }
    #expect(plan.stages.map { $0.map(\.name) } == [["decoder"], ["proxy"]])
    let arguments = try #require(plan.proxy.command).arguments
    #expect(arguments.contains("--num-both"))
    #expect(arguments.suffix(10).prefix(4) == ["--num-prefillers", "0", "--num-decoders", "0"])
  }
}
