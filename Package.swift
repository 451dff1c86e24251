// swift-tools-version: 6.2
import PackageDescription

// Arrows point downward only; Tests/ModuleMapTests holds every import to this table.
let package = Package(
  name: "xpyd",
  products: [.executable(name: "xpyd", targets: ["xpyd"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C, where intrinsics or a C API need it.
    .target(name: "CLinux"),
    .target(name: "CNixl"),
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
    .target(name: "CPeaks", cSettings: [.unsafeFlags(["-O3"])]),

    // Bytes and numbers.
    .target(name: "KVBlocks", dependencies: ["CLinux", .product(name: "Crypto", package: "swift-crypto")]),
    .target(name: "Kernels", dependencies: ["CKernels", "CLinux"]),
    .target(name: "ModelFiles"),
    .target(name: "Tokenization", dependencies: ["ModelFiles"]),
    .target(name: "Models", dependencies: ["ModelFiles", "KVBlocks", "Kernels"]),

    .target(name: "EngineBench", dependencies: ["CPeaks", "ModelFiles", "KVBlocks", "Kernels", "Models"]),

    // The engine and the handoff.
    .target(
      name: "KVTransfer",
      dependencies: [
        "CLinux", "CNixl", "KVBlocks", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "TransferBench",
      dependencies: ["CLinux", "CNixl", "KVBlocks", "KVTransfer", .product(name: "Logging", package: "swift-log")]),
    .target(
      name: "KVOffload", dependencies: ["CLinux", "KVBlocks", .product(name: "Logging", package: "swift-log")]),
    .target(
      name: "Engine",
      dependencies: [
        "Models", "KVBlocks", "KVOffload", "KVTransfer",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ]),

    // What crosses HTTP.
    .target(name: "ServingAPI"),
    .target(
      name: "HTTPServer",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(name: "Grammars", dependencies: ["ServingAPI"]),
    .target(
      name: "ModelStore", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
    .target(
      name: "Worker",
      dependencies: [
        "ServingAPI", "HTTPServer", "Tokenization", "ModelFiles", "Models", "Kernels", "Engine", "KVTransfer",
        "KVBlocks", "KVOffload", "Grammars",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "Logging", package: "swift-log"),
      ]),
    .target(
      name: "Proxy",
      dependencies: [
        "ServingAPI", "HTTPServer",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "Logging", package: "swift-log"),
      ],
      resources: [.embedInCode("Dashboard/dashboard.html")]),
    .target(
      name: "Bench",
      dependencies: [
        "ServingAPI", "Tokenization",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    .target(
      name: "Launcher",
      dependencies: [
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .executableTarget(
      name: "xpyd",
      dependencies: [
        "Launcher", "ModelStore", "ModelFiles", "Worker", "Proxy", "Engine", "KVBlocks", "KVOffload", "KVTransfer",
        "EngineBench", "Bench", "Kernels", "Tokenization", "ServingAPI", "TransferBench",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]),

    // Tests.
    .target(name: "TestSupport", dependencies: ["ModelFiles"], path: "Tests/TestSupport"),
    .target(
      name: "HTTPTestSupport",
      dependencies: [
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ], path: "Tests/HTTPTestSupport"),
    .executableTarget(
      name: "CountedSteps", dependencies: ["Models", "ModelFiles", "Kernels", "KVBlocks", "TestSupport"],
      path: "Tests/CountedSteps",
      // valgrind does not read this compiler's debug information.
      linkerSettings: [.unsafeFlags(["-Xlinker", "--strip-debug"])]),
    .testTarget(name: "ModuleMapTests"),
    .testTarget(name: "KVBlocksTests", dependencies: ["KVBlocks", "TestSupport"]),
    .testTarget(
      name: "KVOffloadTests",
      dependencies: ["KVOffload", "KVBlocks", "TestSupport", .product(name: "Logging", package: "swift-log")]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "TestSupport"]),
    .testTarget(name: "ModelFilesTests", dependencies: ["ModelFiles", "TestSupport"]),
    .testTarget(
      name: "ModelsTests", dependencies: ["Models", "ModelFiles", "Kernels", "KVBlocks", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Tokenization", "ModelFiles", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "KVTransferTests",
      dependencies: [
        "KVTransfer", "KVBlocks", "CLinux", "TestSupport", .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(
      name: "TransferBenchTests",
      dependencies: ["TransferBench", "KVTransfer", .product(name: "Logging", package: "swift-log")]),
    .testTarget(
      name: "EngineTests",
      dependencies: [
        "Engine", "KVBlocks", "KVOffload", "Models", "KVTransfer", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(name: "GrammarsTests", dependencies: ["Grammars", "ServingAPI", "TestSupport"]),
    .testTarget(
      name: "ServingAPITests", dependencies: ["ServingAPI", "HTTPTestSupport", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "HTTPServerTests",
      dependencies: [
        "HTTPServer", "HTTPTestSupport", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ], exclude: ["Fixtures"]),
    .testTarget(name: "ModelStoreTests", dependencies: ["ModelStore", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "WorkerTests",
      dependencies: [
        "Worker", "ServingAPI", "HTTPServer", "Engine", "Tokenization", "KVTransfer", "KVBlocks", "KVOffload",
        "ModelFiles",
        "TestSupport",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Logging", package: "swift-log"),
      ], exclude: ["Fixtures"]),
    .testTarget(
      name: "ProxyTests",
      dependencies: [
        "Proxy", "ServingAPI", "HTTPServer", "HTTPTestSupport", "TestSupport",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(
      name: "BenchTests",
      dependencies: [
        "xpyd", "Bench", "KVOffload", "ServingAPI", "Tokenization", "ModelFiles", "HTTPServer", "HTTPTestSupport",
        "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ], exclude: ["Fixtures", "HTML/Fixtures"]),
    .testTarget(
      name: "EngineBenchTests", dependencies: ["CountedSteps", "EngineBench", "Kernels"], exclude: ["Fixtures"]),
    .testTarget(name: "LauncherTests", dependencies: ["Launcher", "TestSupport"]),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "Worker", "Proxy", "Engine", "KVBlocks", "KVOffload", "KVTransfer", "ServingAPI", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
  ]
)
