import ArgumentParser
import ChaosHarness
import Foundation
import Glibc
import SystemPackage

@main
struct ChaosCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos",
        abstract:
            "Kills a broker again and again while clients are at work, and counts the losses.",
        discussion: """
            Producers publish unique payloads, most with a dedupe key, many at once; consumers \
            acknowledge, some out of order, some after a NACK. The broker is ended with SIGKILL on a \
            schedule and started again on the same data. At the end a new consumer reads everything.

            What has to hold: every message that was OK'd is delivered, byte for byte; no id ever \
            has two payloads; a key that was OK'd is never appended twice; what offsets.json held \
            when the broker was killed stays acknowledged, and an acknowledgement is in it soon.

            Exit codes: 0 all of that held; 1 something did not, or a goal was missed; 2 could not \
            run; 64 usage.
            """)

    @Option(help: "The broker's program. (default: toymq beside this one)")
    var broker: String?

    @Option(help: "Seconds of load.")
    var seconds = 10.0

    @Option(help: "How often the broker is killed. (default: once every 3.6 seconds, at least 3)")
    var kills: Int?

    @Option(help: "Topics.")
    var topics = 4

    @Option(help: "Producers of each topic.")
    var producers = 2

    @Option(help: "How many messages of a producer are unanswered at once.")
    var window = 128

    @Option(help: "Messages a second, all producers together, at most.")
    var rate = 15_000

    @Option(help: "Decides payloads and times.")
    var seed: UInt64 = 1

    @Option(help: "Where the data goes; it has to be empty. (default: a new directory in /tmp)")
    var dir: String?

    @Flag(help: "Leave the data where it is. It stays in any case if something did not hold.")
    var keep = false

    @Option(
        help: ArgumentHelp(
            "Proof of this program: cut so many bytes off the first topic's log at each kill. "
                + "Has to end with exit 1."))
    var loseBytes = 0

    @Option(help: "Goal: so many messages have to be OK'd.")
    var leastOk = 1

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard seconds > 0, seconds <= 86_400 else {
            throw ValidationError("--seconds: up to a day")
        }
        guard (1...1000).contains(topics), (1...64).contains(producers),
            topics * producers < 65_536,
            (1...100_000).contains(window), rate > 0, loseBytes >= 0, (kills ?? 1) >= 0
        else { throw ValidationError("a number is out of bounds") }
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        do {
            if try !isHeld() { throw ExitCode(1) }
        } catch let error as ExitCode {
            throw error
        } catch {
            say("\(error)")
            throw ExitCode(2)
        }
    }

    private func isHeld() throws -> Bool {
        let root = try directory()
        var plan = ChaosPlan()
        plan.seconds = seconds
        plan.crashes = kills ?? max(3, Int(seconds / 3.6))
        plan.topics = topics
        plan.producers = producers
        plan.window = window
        plan.rate = rate
        plan.seed = seed
        plan.tornBytes = loseBytes
        let victim = ProcessVictim(
            path: try program(), data: root.appending("data"), log: root.appending("broker.log"))
        let chaos = Chaos(plan, against: victim) { say($0) }
        let report = try chaos.run()
        let isHeld = report.violations == 0 && report.ok >= leastOk
        print(json ? object(report, isHeld) : text(report))
        for violation in report.firstViolations { say("VIOLATION \(violation)") }
        if report.ok < leastOk { say("only \(report.ok) of \(leastOk) messages were OK'd") }
        if isHeld, !keep, dir == nil { remove(root) } else { say("the data is in \(root)") }
        return isHeld
    }

    private func directory() throws -> FilePath {
        if let dir {
            guard mkdir(dir, 0o755) == 0 || errno == EEXIST else {
                throw ChaosError("cannot make \(dir): \(String(cString: strerror(errno)))")
            }
            return FilePath(dir)
        }
        var name = Array("/tmp/toymq-chaos-XXXXXX".utf8CString)
        guard let made = mkdtemp(&name) else { throw ChaosError("cannot make a directory in /tmp") }
        return FilePath(String(cString: made))
    }

    private func remove(_ root: FilePath) {
        try? FileManager.default.removeItem(atPath: root.string)
    }

    private func program() throws -> String {
        if let broker { return broker }
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &bytes, bytes.count - 1)
        guard count > 0 else { throw ChaosError("name the program with --broker") }
        let own = FilePath(
            String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        return own.removingLastComponent().appending("toymq").string
    }

    private func text(_ report: ChaosReport) -> String {
        """
        \(report.ok) messages OK'd through \(report.crashes) kills, \(report.verified) of them found \
        as they were published; \(report.duplicates) DUP, \(report.unknown) without a key \
        unanswered, \(report.refused) refused
        \(report.delivered) deliveries, \(report.redelivered) of them again; slowest start \
        \(Int(report.slowestStart * 1000)) ms
        \(report.violations == 0 ? "everything held" : "\(report.violations) VIOLATIONS")
        """
    }

    private func object(_ report: ChaosReport, _ isHeld: Bool) -> String {
        let numbers = [
            ("ok", report.ok), ("verified", report.verified), ("kills", report.crashes),
            ("duplicates", report.duplicates), ("unknown", report.unknown),
            ("refused", report.refused), ("delivered", report.delivered),
            ("redelivered", report.redelivered), ("acknowledged", report.acknowledged),
            ("slowest_start_ms", Int(report.slowestStart * 1000)),
            ("violations", report.violations),
        ]
        let members = numbers.map { "\"\($0)\": \($1)" }.joined(separator: ", ")
        return "{\"version\": 1, \"held\": \(isHeld), \(members)}"
    }

    private func say(_ text: String) {
        let bytes = Array("chaos: \(text)\n".utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
