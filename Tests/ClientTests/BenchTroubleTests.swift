import SystemPackage
import ChaosHarness
import Foundation
import Glibc
import ProcessSupport
import Testing
import TestSupport

/// toymq-bench where the broker does not do what is measured.
@Suite("toymq-bench in trouble", .timeLimit(.minutes(10))) struct BenchTroubleTests {
    private func words(_ broker: TestBroker, _ arguments: [String]) -> [String] {
        [builtProgram("toymq-bench"), arguments[0], "--addr", "127.0.0.1:\(broker.port)"]
            + arguments.dropFirst()
    }

    @Test(arguments: [["publish"], ["consume"], ["e2e"], ["e2e", "--bare"]])
    func aMessageThatIsRefusedEndsIt(measurement: [String]) throws {
        let broker = try TestBroker("--max-payload", "1KiB")
        let result = try FinishedProcess(words(broker, measurement + ["--size", "4096"]))
        #expect(result.exit == 2)
        #expect(result.error.contains("TOO_LARGE"), "\(result.error)")
    }

    @Test func aBrokerThatIsGoneWhileTheBacklogIsPublishedEndsIt() throws {
        let broker = try TestBroker()
        let child = try ChildProcess(
            words(broker, ["consume", "--messages", "100000000"]), error: .pipe)
        // Some of it is there.
        let log = broker.root.appending("data/topics/bench/segment.log").string
        try #require(
            child.comes {
                var status = stat()
                return stat(log, &status) == 0 && status.st_size >= 100_000
            })
        try broker.crashAndRestart()
        let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
        #expect(child.wait() == .exit(2))
        #expect(error.contains("the backlog was not published"), "\(error)")
    }

    @Test func aBrokerThatEndsWhileItIsMeasuredWithoutTheLibraryEndsIt() throws {
        let broker = try TestBroker()
        let child = try ChildProcess(
            words(broker, ["e2e", "--bare", "--topic", "t", "--seconds", "600"]), error: .pipe)
        let topics = broker.root.appending("data/topics").string
        try #require(
            child.comes {
                (try? FileManager.default.contentsOfDirectory(atPath: topics))?.isEmpty == false
            })
        try broker.crashAndRestart()
        let error = String(decoding: child.readErrorToEnd(), as: UTF8.self)
        #expect(child.wait() == .exit(2))
        #expect(error.contains("connection"), "\(error)")
        // And where there is none from the beginning.
        let none = try FinishedProcess(
            [builtProgram("toymq-bench"), "e2e", "--bare", "--addr", "127.0.0.1:1"])
        #expect(none.exit == 2 && none.error.contains("127.0.0.1:1"), "\(none.error)")
    }

    @Test func aTokenIsShown() throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("secret\n".utf8, to: "token").string
        let broker = try TestBroker("--auth-token-file", file)
        for arguments in [
            ["publish", "--seconds", "0.1", "--warmup", "0"], ["consume", "--messages", "10"],
            ["e2e", "--seconds", "0.1", "--warmup", "0"],
            ["e2e", "--bare", "--seconds", "0.1", "--warmup", "0"],
        ] {
            let without = try FinishedProcess(words(broker, arguments))
            #expect(without.exit == 2 && without.error.contains("AUTH"), "\(without.error)")
            let with = try FinishedProcess(words(broker, arguments + ["--token-file", file]))
            #expect(with.exit == 0, "\(with.error)")
        }
        let none = try FinishedProcess(words(broker, ["publish", "--token-file", file + ".none"]))
        #expect(none.exit == 2 && none.error.contains(file + ".none: No such file"))
    }

    @Test(
        "what is wrong is called by its name",
        arguments: [
            (["publish", "--warmup=-1"], "--warmup is"),
            (["publish", "--warmup", "inf"], "--warmup is"),
            (["e2e", "--seconds", "0"], "--seconds is"), (["e2e", "--window", "0"], "--window is"),
            (["publish", "--connections", "0"], "--connections is 1"),
            (["publish", "--window", "0"], "--window is 1"),
            (["publish", "--connections", "10000", "--window", "1000"], "times --window"),
            (["consume", "--messages", "0"], "--messages is 1"),
            (["wal", "--callers", "0"], "--callers: 1"),
        ])
    func usage(arguments: [String], text: String) throws {
        let result = try FinishedProcess([builtProgram("toymq-bench")] + arguments)
        #expect(result.exit == 64 && result.error.contains(text), "\(result.error)")
    }
}
