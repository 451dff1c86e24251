import Testing

import Launcher

struct LaunchPlanTests {
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
    let plan = LaunchPlan(
      .init(topology: try Topology("2p1d"), modelPath: "m.gguf", servedModelNames: ["m"], threads: 1))
    #expect(plan.stages.flatMap { $0 }.map(\.name) == ["decoder", "prefiller1", "prefiller2", "proxy"])
    #expect(plan.stages.flatMap { $0 }.map(\.port) == [8200, 8100, 8101, 9000])
    #expect(plan.prefillers[1].logFile == "prefiller2.log")
    #expect(plan.decoders[0].logFile == "decoder.log")
  }

  @Test func `Several decoders are numbered`() throws {
    let plan = LaunchPlan(
      .init(topology: try Topology("1p2d"), modelPath: "m.gguf", servedModelNames: ["m"], threads: 1))
    #expect(plan.decoders.map(\.logFile) == ["decoder1.log", "decoder2.log"])
    #expect(plan.proxy.arguments.suffix(4) == ["--decoder-port", "8200", "--num-decoders", "2"])
  }
}
