// swift-tools-version: 6.3
import PackageDescription

/// Every target of ours is built with the same strictness: a warning is an error.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

/// The libraries also have the compiler demand the word `unsafe` wherever memory is not checked.
let strictLibrary = strict + [.strictMemorySafety()]

let argumentParser: Target.Dependency =
    .product(name: "ArgumentParser", package: "swift-argument-parser")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioConcurrency: Target.Dependency =
    .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioHTTP: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "toymq",
    products: [
        .library(name: "WAL", targets: ["WAL"]),
        .library(name: "ToyMQClient", targets: ["ToyMQClient"]),
        .executable(name: "toymq", targets: ["toymq"]),
        .executable(name: "toymq-dump", targets: ["toymq-dump"]),
        .executable(name: "toymq-fsck", targets: ["toymq-fsck"]),
        .executable(name: "toymq-fuzzgen", targets: ["toymq-fuzzgen"]),
        .executable(name: "toymqctl", targets: ["toymqctl"]),
        .executable(name: "toymq-bench", targets: ["toymq-bench"]),
    ],
    traits: [
        .trait(
            name: "LibFuzzer",
            description: "Builds WALFuzz for libFuzzer, which has a main of its own: tools/fuzz."),
        .trait(
            name: "Mutants",
            description: "Mistakes built into the log, for tools/mutants. No release has them."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLinux"),

        // What every program does first, and what several of them read.
        .target(
            name: "ToolSupport", dependencies: ["Wire"], packageAccess: false,
            swiftSettings: strict),
        // JSON for answers and reports. That of many messages is DataDirectory's JSONWriter.
        .target(name: "JSONText", packageAccess: false, swiftSettings: strictLibrary),

        // A lock with a condition, threads that are joined, and the clock that both wait by.
        .target(name: "Threads", packageAccess: false, swiftSettings: strictLibrary),

        // The log. Knows nothing of topics, sockets or brokers.
        .target(
            name: "WAL", dependencies: ["CLinux", "CZlib", "Threads", systemPackage],
            swiftSettings: strictLibrary),

        // The program on the landing page of the WAL's documentation.
        .executableTarget(
            name: "wal-example", dependencies: ["WAL", systemPackage], packageAccess: false,
            swiftSettings: strict),

        // Names and files of a data directory besides the log.
        .target(
            name: "DataDirectory", dependencies: ["WAL", systemPackage],
            swiftSettings: strictLibrary),

        // Read-only truth about a directory, shared by the tools.
        .target(
            name: "Inspection", dependencies: ["WAL", "DataDirectory", systemPackage],
            swiftSettings: strictLibrary),

        // Puts a damaged directory in order: plans, sets aside, writes, and undoes.
        .target(
            name: "Repair", dependencies: ["WAL", "DataDirectory", "Inspection", systemPackage],
            swiftSettings: strictLibrary),

        .executableTarget(
            name: "toymq-dump",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "ToolSupport", argumentParser, systemPackage,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "toymq-fsck",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "Repair", "ToolSupport", argumentParser,
                systemPackage,
            ],
            swiftSettings: strict),

        // Seeded logs, whole and damaged, with what each has to give.
        .target(
            name: "Corpus", dependencies: ["WAL", "DataDirectory", "Inspection", systemPackage],
            swiftSettings: strictLibrary),
        .executableTarget(
            name: "toymq-fuzzgen",
            dependencies: [
                "WAL", "Corpus", "ToolSupport", argumentParser, systemPackage,
            ],
            swiftSettings: strict),

        // Topics of the Go program, read as Inspection does and written through the log's public
        // interface. It forces directories as the log does, which needs package access.
        .target(
            name: "GoImport",
            dependencies: ["WAL", "DataDirectory", "Inspection", "Threads", systemPackage],
            swiftSettings: strictLibrary),

        // packageAccess: false, here and for all that comes above the log: the compiler refuses
        // anything but the public contract of the modules below.
        .executableTarget(
            name: "toymqctl",
            dependencies: [
                "WAL", "DataDirectory", "GoImport", "ToyMQClient", "JSONText", "ToolSupport",
                argumentParser, systemPackage,
            ],
            packageAccess: false, swiftSettings: strict),
        .executableTarget(
            name: "toymq-bench",
            dependencies: [
                "WAL", "CZlib", "ToyMQClient", "Wire", "JSONText", "ToolSupport", "Threads",
                argumentParser, nioCore, nioPosix, nioConcurrency, deque, systemPackage,
            ],
            packageAccess: false, swiftSettings: strict),

        // The broker. Bytes to commands and back: no sockets, nothing of the log.
        .target(name: "Wire", packageAccess: false, swiftSettings: strictLibrary),
        // Its rules: topics, consumers, deliveries. No sockets.
        .target(
            name: "Broker",
            dependencies: ["WAL", "DataDirectory", "Threads", deque, heap, systemPackage],
            packageAccess: false, swiftSettings: strictLibrary),
        // Connections. The only target of the broker that knows NIO.
        .target(
            name: "Server",
            dependencies: [
                "Wire", "Broker", "WAL", "DataDirectory", "JSONText", "ToolSupport", "Threads",
                nioCore, nioPosix, nioHTTP, deque, logging,
            ],
            packageAccess: false, swiftSettings: strictLibrary),
        .executableTarget(
            name: "toymq",
            dependencies: [
                "Server", "Broker", "WAL", "DataDirectory", "JSONText", "ToolSupport", "Threads",
                nioConcurrency, argumentParser, logging, systemPackage,
            ],
            packageAccess: false, swiftSettings: strict),

        // The client. Knows the protocol, and nothing of the broker or the log.
        .target(
            name: "ToyMQClient",
            dependencies: ["Wire", nioCore, nioPosix, nioConcurrency, deque],
            packageAccess: false, swiftSettings: strictLibrary),

        .testTarget(
            name: "WireTests", dependencies: ["Wire", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "BrokerTests",
            dependencies: [
                "Broker", "WAL", "DataDirectory", "WALTestSupport", "Threads", systemPackage,
            ],
            swiftSettings: strict),
        // The broker as a process, through sockets.
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "toymq", "Server", "Broker", "Wire", "DataDirectory", "WAL", "WALTestSupport",
                "ProcessSupport", logging, argumentParser, nioCore, nioPosix, nioEmbedded, nioHTTP,
                "Threads", "TestSupport", systemPackage,
            ],
            swiftSettings: strict),

        // Tests only: a broker is crashed again and again while clients are at work; and that as a
        // program, for optimised builds, which tools/chaos runs.
        .target(
            name: "ChaosHarness",
            dependencies: [
                "ToyMQClient", "DataDirectory", "WAL", "ProcessSupport", nioConcurrency,
                "TestSupport", systemPackage,
            ],
            path: "Tests/ChaosHarness", packageAccess: false, swiftSettings: strict),
        .executableTarget(
            name: "chaos", dependencies: ["ChaosHarness", argumentParser, systemPackage],
            path: "Tests/Chaos", packageAccess: false, swiftSettings: strict),

        // The program on the landing page of the client's documentation.
        .executableTarget(
            name: "client-example", dependencies: ["ToyMQClient"], packageAccess: false,
            swiftSettings: strict),
        .testTarget(
            name: "ClientTests",
            dependencies: [
                "ToyMQClient", "ChaosHarness", "ProcessSupport", "Simulation", "Server", "Broker",
                "DataDirectory", "WAL", "toymq", "toymqctl", "toymq-bench", "toymq-dump",
                "toymq-fsck", "toymq-fuzzgen", "chaos", "client-example", logging, "TestSupport",
                "Threads", systemPackage,
            ],
            swiftSettings: strict),

        .testTarget(
            name: "ImportTests",
            dependencies: [
                "GoImport", "toymqctl", "WAL", "DataDirectory", "WALTestSupport", "ProcessSupport",
                "TestSupport",
                systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "BenchTests", dependencies: ["toymq-bench", "ProcessSupport", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "DocsTests",
            dependencies: [
                "WAL", "Inspection", "FuzzTargets", "ProcessSupport", "wal-example", "TestSupport",
            ],
            swiftSettings: strict),
        // Tests only: a directory of a test's own, random numbers that are the same again, work on
        // a thread that is joined, and the tables of the documents.
        .target(
            name: "TestSupport", dependencies: ["Threads", systemPackage],
            path: "Tests/TestSupport", swiftSettings: strict),
        // Tests only: programs that tests run.
        .systemLibrary(name: "CSpawn", path: "Tests/CSpawn"),
        .target(
            name: "ProcessSupport",
            dependencies: ["CSpawn", "TestSupport", "WAL", "Threads", systemPackage],
            path: "Tests/ProcessSupport", swiftSettings: strict),
        // Tests only: a disk in memory that fails on demand, and a builder of log images.
        .target(
            name: "WALTestSupport", dependencies: ["WAL", "Threads", "TestSupport", systemPackage],
            path: "Tests/WALTestSupport", swiftSettings: strict),
        // Tests only: appends until it is killed.
        .executableTarget(
            name: "LogAppender", dependencies: ["WAL", systemPackage], path: "Tests/LogAppender",
            packageAccess: false, swiftSettings: strict),
        .testTarget(
            name: "WALTests",
            dependencies: [
                "WAL", "WALTestSupport", "Simulation", "ProcessSupport", "LogAppender", "Threads",
                "TestSupport", systemPackage,
            ],
            swiftSettings: strict),

        // Tests only: a disk in memory that loses power, and what explores every crash on it.
        .target(
            name: "Simulation",
            dependencies: ["WAL", "DataDirectory", "Threads", "TestSupport", systemPackage],
            path: "Tests/Simulation", swiftSettings: strict),
        // Tests only: the exploration as a program, for optimised builds. tools/crash runs it.
        .executableTarget(
            name: "crash-explorer", dependencies: ["WAL", "Simulation", "Threads", systemPackage],
            path: "Tests/CrashExplorer", swiftSettings: strict),
        .testTarget(
            name: "CrashTests",
            dependencies: [
                "WAL", "DataDirectory", "Simulation", "Threads", "TestSupport", systemPackage,
            ],
            swiftSettings: strict),
        // Tests only: what is fuzzed, and the program that libFuzzer drives.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "Repair", "WALTestSupport", "Wire",
                "Threads", systemPackage,
            ],
            path: "Tests/FuzzTargets", swiftSettings: strict),
        .executableTarget(
            name: "WALFuzz", dependencies: ["FuzzTargets"], path: "Tests/WALFuzz",
            swiftSettings: strict),
        .testTarget(
            name: "CorpusTests",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "Corpus", "FuzzTargets", "WALFuzz",
                "WALTestSupport", "ProcessSupport", "toymq-fuzzgen", "toymq-dump", "toymq-fsck",
                "TestSupport", systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "DataDirectoryTests",
            dependencies: [
                "WAL", "DataDirectory", "Simulation", "WALTestSupport", "Threads", "TestSupport",
                systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "InspectionTests",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "Threads", "TestSupport", systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RepairTests",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "Repair", "WALTestSupport", "ProcessSupport",
                "Simulation", "toymq-fsck", "Threads", "TestSupport", systemPackage,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ToolTests",
            dependencies: [
                "WAL", "DataDirectory", "Inspection", "ProcessSupport", "ToolSupport",
                "toymq-dump", "toymq-fsck", "TestSupport", systemPackage,
            ],
            swiftSettings: strict),
    ]
)
