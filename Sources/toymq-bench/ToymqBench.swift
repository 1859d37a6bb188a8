import ArgumentParser
import ToolSupport

@main
struct ToymqBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymq-bench",
        abstract: "Measures the log on the disk at hand, and brokers.",
        discussion: """
            wal and scan: each figure stands beside a limit that was measured in the same run, in \
            short slices taken in turns: the machine may be busy with something else, and a ratio of \
            two neighbouring slices says more than either of them. The medians are printed.

            publish, consume and e2e measure a broker at any address with the client library of \
            this package, which takes its share of the processor.

            Exit codes: 0 measured, whether or not a goal was reached; 2 could not measure, or not \
            print it; 64 usage.
            """,
        version: ToolVersion.current,
        subcommands: [
            WalCommand.self, ScanCommand.self, PublishCommand.self, ConsumeCommand.self,
            EndToEndCommand.self,
        ])

    static func main() {
        ProgramStart.prepare()
        Arguments.check()
        main(nil)
    }
}

/// What kept a measurement from being made; one line for people.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a measurement and ends the process as the contract says.
func reporting(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch {
        ToolVoice("toymq-bench").say("\(error)")
        throw ExitCode(2)
    }
}

/// A comma-separated list of whole numbers.
struct NumberList: ExpressibleByArgument {
    let numbers: [Int]

    init(_ numbers: [Int]) { self.numbers = numbers }

    init?(argument: String) {
        var numbers: [Int] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let number = Int(part), number >= 0 else { return nil }
            numbers.append(number)
        }
        self.numbers = numbers
    }

    var defaultValueDescription: String {
        numbers.map(String.init).joined(separator: ",")
    }
}
