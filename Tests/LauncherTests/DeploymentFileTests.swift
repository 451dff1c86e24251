import Testing

import Launcher

struct DeploymentFileTests {
  private static let vocabulary = DeploymentFile.Vocabulary(
    handoffs: ["auto", "nixl", "lmcache"], policies: ["round-robin", "least-loaded"])

  private static let small = """
    model: m.gguf
    workers:
      - {name: decoder, role: decoder, port: 8200}
      - name: prefiller1
        role: prefiller
        port: 8100
    """

  private func problems(_ text: String) -> [String] {
    do {
      _ = try DeploymentFile.parse(text, path: "f.yaml", vocabulary: Self.vocabulary)
      return []
    } catch { return error.description.split(separator: "\n").map(String.init) }
  }

  @Test func `What is not said is as on the command line`() throws {
    let read = try DeploymentFile.parse(Self.small, path: "f", vocabulary: Self.vocabulary)
    #expect(read.servedModelNames == ["m.gguf"])
    #expect(read.proxy == Deployment.ProxyProcess())
    #expect(read.supervision == Deployment.Supervision())
    #expect(read.workers[1] == Deployment.Worker(name: "prefiller1", role: .prefiller, port: 8100))
  }

  @Test func `What is printed reads back as the same`() throws {
    var deployment = Deployment(try Topology("2p2d"), model: "meta/Llama: 8B", servedModelNames: ["a", "no", "7"]) {
      $0.engine = .vllm
      $0.sideChannelPort = 9000 + 10 * ($0.port - 8000)
      $0.gpus = [$0.port - 8000, $0.port - 7500]
      $0.environment = ["UCX_TLS": "tcp,sm", "A": "yes", "B": "1", "E": ""]
      $0.arguments = ["--dtype", "float32", "--x", "{\"a\": 'b'}", "- c", "#"]
    }
    deployment.workers[0].host = "10.0.0.1"
    deployment.vllm = "/venv/bin/vllm"
    deployment.proxy.handoff = "nixl"
    deployment.proxy.decodePolicy = "least-loaded"
    deployment.proxy.arguments = ["--ttft-slo", "500"]
    deployment.supervision.stagger = 2.5
    deployment.logs.directory = "/var/log/xpyd run"
    let text = DeploymentFile.text(deployment)
    let read = try DeploymentFile.parse(text, path: "f", vocabulary: Self.vocabulary)
    #expect(read == deployment, "\(text)")
  }

  @Test(arguments: [
    (
      small + "\nproxi:\n  port: 1\n",
      "f.yaml:7: unknown key 'proxi' in the file: did you mean 'proxy'?"
    ),
    (
      small.replacing("port: 8100", with: "prot: 8100"),
      "f.yaml:6: unknown key 'prot' in a worker: did you mean 'port'?"
    ),
    (
      small.replacing("role: prefiller", with: "role: prefill"),
      "f.yaml:5: role cannot be 'prefill': did you mean 'prefiller'?"
    ),
    (
      small.replacing("port: 8100", with: "port: 70000"),
      "f.yaml:6: port must be a whole number from 1 to 65535, not '70000'"
    ),
    (
      small.replacing("port: 8100", with: "port: eight"),
      "f.yaml:6: port must be a whole number from 1 to 65535, not 'eight'"
    ),
    (
      small.replacing("port: 8100", with: "port: 8200"),
      "f.yaml:4: port 8200 on 127.0.0.1 is given to both decoder and prefiller1"
    ),
    (
      small.replacing("port: 8100", with: "port: 9000"),
      "f.yaml:4: port 9000 on 127.0.0.1 is given to both proxy and prefiller1"
    ),
    (
      small.replacing("prefiller1", with: "decoder"),
      "f.yaml:4: the name decoder is taken: each log needs a name of its own"
    ),
    (small.replacing("prefiller1", with: "../x"), "f.yaml:4: '../x' is no name: use letters, digits, - and _"),
    (
      small.replacing("role: decoder", with: "role: prefiller"),
      "f.yaml: there is no decoder: add a worker with role: decoder"
    ),
    (small + "\n    gpus: [0]\n", "f.yaml:4: prefiller1 has GPUs, but engine: embedded computes on the CPU"),
    (small + "\n    engine: vllm\n", "f.yaml:4: prefiller1 is vllm, decoder embedded: KV cannot pass between engines"),
    (small + "\n    arguments: [--port=1]\n", "f.yaml:4: prefiller1: --port is said by the topology, not by arguments"),
    (small + "\nproxy: {handoff: nixel}\n", "f.yaml:7: handoff cannot be 'nixel': did you mean 'nixl'?"),
    (
      small + "\nproxy: {decode-policy: fastest}\n",
      "f.yaml:7: decode-policy cannot be 'fastest': it is one of round-robin, least-loaded"
    ),
    (small + "\nlogs: []\n", "f.yaml:7: logs must be keys with values, such as directory: …"),
    (small + "\nsupervision: {grace: soon}\n", "f.yaml:7: grace must be seconds from 0 to 86400, not 'soon'"),
    (small.replacing("model: m.gguf", with: "vllm: x"), "f.yaml:1: the file has no model"),
    (small + "\nmodel: again\n", "f.yaml:1: the key model stands here twice"),
    ("", "f.yaml: the file is empty"),
    ("model: [1\nworkers: 2", "f.yaml:2: this is no YAML: did not find expected ',' or ']'"),
    ("- a", "f.yaml:1: the file must be keys with values, such as model: …"),
  ])
  func `What is wrong is named with its line`(text: String, problem: String) {
    #expect(problems(text).first == problem)
  }

  @Test func `Everything that is wrong is told at once`() {
    let text = Self.small.replacing("8100", with: "x").replacing("8200", with: "y") + "\nlog: {}\n"
    #expect(problems(text).count == 3)
  }

  @Test func `One GPU for two workers of one host is an error, for two hosts it is not`() {
    func text(_ host: String) -> String {
      """
      model: m
      workers:
        - {name: d, role: decoder, engine: vllm, port: 8200, gpus: [2, 3]}
        - {name: p, role: prefiller, engine: vllm, host: \(host), port: 8100, gpus: [0, 2]}
      """
    }
    #expect(
      problems(text("127.0.0.1")) == ["f.yaml:4: GPU 2 on 127.0.0.1 is given to both d and p: give each its own"])
    #expect(problems(text("10.0.0.7")) == [])
  }

  @Test func `A file that is not there says how to get one`() {
    let error = #expect(throws: DeploymentFileError.self) {
      try DeploymentFile.read("/no/such.yaml", vocabulary: Self.vocabulary)
    }
    #expect(error?.description.contains("/no/such.yaml: there is no such file; xpyd up 2p1d --print-config") == true)
  }

  @Test(arguments: ["2p1d", "1p1d", "x"]) func `A topology is no path`(text: String) {
    #expect(!DeploymentFile.isPath(text))
    #expect(DeploymentFile.isPath("\(text).yaml"))
    #expect(DeploymentFile.isPath("./\(text)"))
  }
}
