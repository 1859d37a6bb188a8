import SystemPackage
import Foundation
import ProcessSupport
import Testing
import TestSupport

/// That the program runs and prints what it says it prints. Its figures are nobody's business here.
@Suite("toymq-bench") struct BenchTests {
    private struct Result {
        let exit: Int32
        let output: String
        let left: [String]
        let json: [String: Any]

        var results: [[String: Any]] { json["results"] as? [[String: Any]] ?? [] }
    }

    /// Runs it in a directory of its own.
    private func run(_ arguments: String...) throws -> Result {
        let directory = try TemporaryDirectory()
        let ran = try FinishedProcess(
            [builtProgram("toymq-bench")] + arguments, directory: directory.path.string)
        return Result(
            exit: ran.exit, output: ran.output,
            left: try directory.names, json: ran.json)
    }

    @Test func walMeasuresEveryCaseAndTidiesUp() throws {
        let result = try run(
            "wal", "--callers", "1,3", "--sizes", "0,100", "--seconds", "0.01", "--repeat", "2",
            "--json")
        #expect(result.exit == 0 && result.left.isEmpty)
        let cases = result.results.map { entry in
            "\(entry["callers"] ?? "-") \(entry["style"] ?? "-") \(entry["payload_bytes"] ?? "-")"
        }
        #expect(
            cases == [
                "1 blocking 0", "3 callback 0", "3 async 0", "1 blocking 100", "3 callback 100",
                "3 async 100",
            ])
        for entry in result.results {
            #expect((entry["ratios"] as? [Double])?.count == 2)
            for name in ["messages_per_second", "raw_messages_per_second", "ratio"] {
                let spread = entry[name] as? [String: Any]
                #expect(spread?["median"] is NSNumber, "\(name)")
            }
            let latency = entry["latency_us"] as? [String: Any]
            #expect(latency?.keys.sorted() == ["max", "p50", "p90", "p99", "p99.9"])
        }
    }

    @Test(arguments: ["blocking", "callback", "async", "observer"])
    func walKnowsTheStyle(style: String) throws {
        let result = try run(
            "wal", "--callers", "4", "--sizes", "256", "--seconds", "0.01", "--repeat", "1",
            "--style", style)
        #expect(result.exit == 0 && result.output.contains(style))
    }

    @Test func scanMeasuresOneAndTwoThreads() throws {
        let result = try run("scan", "--bytes", "200000", "--repeat", "1", "--json")
        #expect(result.exit == 0 && result.left.isEmpty)
        #expect(result.results.map { $0["threads"] as? Int } == [1, 2, 1])
        #expect(result.results.allSatisfy { $0["ratio"] is [String: Any] })
    }

    @Test func scanUsesItsTopicsAgain() throws {
        let result = try run("scan", "--bytes", "100000", "--repeat", "1", "--dir", ".")
        #expect(result.exit == 0)
        #expect(result.left.sorted() == ["toymq-scan-1", "toymq-scan-2"])
    }

    @Test func figuresThatCannotBePrintedAreAnError() throws {
        let ran = try FinishedProcess(
            ["/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh", builtProgram("toymq-bench")]
                + ["scan", "--bytes", "100000", "--repeat", "1"])
        #expect(ran.exit == 2)
        #expect(ran.error.contains("No space left"), "\(ran.error)")
    }

    @Test func wrongUsageIs64AndAMissingDirectoryIs2() throws {
        #expect(try run("wal", "--callers", "0").exit == 64)
        #expect(try run("wal", "--sizes", "5000000").exit == 64)
        #expect(try run("wal", "--style", "fast").exit == 64)
        #expect(try run("scan", "--bytes", "1").exit == 64)
        #expect(try run("wal", "--dir", "nowhere").exit == 2)
        #expect(try run("scan", "--dir", "nowhere").exit == 2)
        #expect(try run("--version").output == "0.1.0\n")
    }
}
