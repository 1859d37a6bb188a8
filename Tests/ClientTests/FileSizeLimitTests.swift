import Foundation
import Glibc
import ProcessSupport
import SystemPackage
import Testing
import TestSupport
import WAL

/// A write beyond `ulimit -f` sends SIGXFSZ, by which a process that does not expect it ends: a
/// broker with all its topics, a repair in its midst.
@Suite("Programs whose files may not grow", .timeLimit(.minutes(10))) struct FileSizeLimitTests {
    private let directory: TemporaryDirectory
    private var folder: String { directory.path.string }

    init() throws {
        directory = try TemporaryDirectory()
        try directory.makeDirectory("data/topics/t")
    }

    /// A command that runs a program of this build with files of so many KiB at most.
    private func limited(_ kibibytes: Int, _ name: String, _ arguments: [String]) -> [String] {
        // In POSIX mode a unit is 512 bytes. A program that is built with ThreadSanitizer writes a
        // file of its own when it starts, and ends by SIGBUS if that is cut short; with nowhere to
        // put it, it goes on without.
        let script =
            "ulimit -c 0; ulimit -f \(kibibytes * 2); TMPDIR=/nonexistent; export TMPDIR; exec \"$@\""
        return ["/bin/sh", "-c", script, "sh", builtProgram(name)] + arguments
    }

    private var segment: String { folder + "/data/topics/t/segment.log" }

    /// A log of a MiB with a flipped bit in its midst.
    private func makeDamagedLog() throws {
        let host = LogHost()
        defer { host.shutdown() }
        let log = try Log.open(FilePath(folder + "/data/topics/t"), host: host)
        let payload = [UInt8](repeating: 0x78, count: 20_000)
        for _ in 0..<50 { _ = try log.appendBlocking(Message(payload: RawSpan(of: payload))) }
        try log.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
        bytes[500_000] ^= 1
        try bytes.write(to: URL(fileURLWithPath: segment))
    }

    @Test func aBrokerRefusesWhatDoesNotFitAndServesTheRest() throws {
        let child = try ChildProcess(
            limited(300, "toymq", ["--data-dir", folder + "/data", "--addr", "127.0.0.1:0"]))
        let line = String(decoding: child.readOutput(), as: UTF8.self)
        let address = try #require(line.split(whereSeparator: \.isWhitespace).last)
        let toymqctl = { (arguments: [String], input: String) in
            try run(
                "toymqctl", arguments + ["--addr", "\(address)", "--attempts", "1"],
                input: input)
        }
        let large = String(repeating: "x", count: 100_000)
        var published = 0
        var refusal = try toymqctl(["pub", "t"], large)
        while refusal.exit == 0, published < 10 {
            published += 1
            refusal = try toymqctl(["pub", "t"], large)
        }
        #expect(refusal.exit == 2 && published > 0)
        #expect(refusal.error.contains("File too large"), "\(refusal.error)")
        #expect(try toymqctl(["pub", "t"], "small").exit == 0)
        let all = try toymqctl(["sub", "t", "--count", "\(published + 1)"], "")
        #expect(all.output == String(repeating: large + "\n", count: published) + "small\n")
        child.signal(SIGTERM)
        #expect(child.wait() == .exit(0))
        let check = try run("toymq-fsck", [folder + "/data"])
        #expect(check.exit == 0, "\(check.output)")
    }

    @Test func aRepairThatDoesNotFitLeavesTheLogAsItWas() throws {
        try makeDamagedLog()
        let before = try Data(contentsOf: URL(fileURLWithPath: segment))
        let result = try FinishedProcess(
            limited(100, "toymq-fsck", ["--repair", folder + "/data"]))
        #expect(result.exit & 8 == 8, "\(result.end)")
        #expect(result.error.contains("File too large"), "\(result.error)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: segment)) == before)
        #expect(try run("toymq-fsck", ["--repair", folder + "/data"]).exit == 65)
    }

    @Test func aToolSaysWhatItCouldNotWrite() throws {
        try makeDamagedLog()
        let data = folder + "/data"
        let page = folder + "/page.html"
        for (name, arguments, code) in [
            ("toymq-fsck", ["--report", page, data], 68 | 8),
            ("toymq-fuzzgen", [folder + "/corpus"], 2),
            ("toymq-dump", ["--json", data], 2),
            ("toymq-bench", ["wal", "--dir", folder, "--seconds", "0.1", "--repeat", "1"], 2),
        ] as [(String, [String], Int32)] {
            let result = try FinishedProcess(limited(4, name, arguments))
            #expect(result.exit == code, "\(name)")
            #expect(result.error.contains("File too large"), "\(name): \(result.error)")
        }
        #expect(access(page, F_OK) != 0)
    }
}
