import Simulation
import WAL

/// What the program was asked for. Written by hand: a library for it would be built, optimised,
/// each time the tests run.
struct Arguments {
    enum Task {
        case help, jobs, mutants, explore
        case replay(String, state: Int)
        case mutant(Mutant)
    }

    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    static let usage = """
        usage: crash-explorer [--taste | --bounded | --full] [--seed N] [--threads N]
                              [--at-least N] [--table]
                              [--jobs | --mutants | --mutant NAME | --replay JOB --state N]

        """

    var task = Task.explore
    var effort = Effort.bounded
    var effortName = "bounded"
    var seed: UInt64 = 1
    var threads = 1
    var atLeast = 0
    var asTable = false

    init(_ words: ArraySlice<String>) throws {
        var rest = words
        var job: String?
        var state: Int?
        while let word = rest.popFirst() {
            switch word {
            case "--help": task = .help
            case "--jobs": task = .jobs
            case "--mutants": task = .mutants
            case "--table": asTable = true
            case "--taste", "--bounded", "--full": choose(String(word.dropFirst(2)))
            case "--seed": seed = try Arguments.number(&rest, word)
            case "--threads": threads = try Arguments.number(&rest, word)
            case "--at-least": atLeast = try Arguments.number(&rest, word)
            case "--state": state = try Arguments.number(&rest, word)
            case "--replay": job = try Arguments.value(&rest, word)
            case "--mutant":
                let name = try Arguments.value(&rest, word)
                guard let mutant = Mutant.allCases.first(where: { $0.name == name }) else {
                    throw Wrong(description: "no mutant '\(name)'; --mutants lists them")
                }
                task = .mutant(mutant)
            default: throw Wrong(description: "unknown argument '\(word)'")
            }
        }
        switch (job, state) {
        case (nil, nil): break
        case (let job?, let state?): task = .replay(job, state: state)
        default: throw Wrong(description: "--replay and --state belong together")
        }
    }

    private mutating func choose(_ name: String) {
        effortName = name
        effort = name == "taste" ? .taste : name == "full" ? .full : .bounded
    }

    private static func value(_ rest: inout ArraySlice<String>, _ option: String) throws -> String {
        guard let value = rest.popFirst() else {
            throw Wrong(description: "\(option) needs a value")
        }
        return value
    }

    private static func number<N: FixedWidthInteger>(
        _ rest: inout ArraySlice<String>, _ option: String
    ) throws -> N {
        let text = try value(&rest, option)
        guard let number = N(text) else {
            throw Wrong(description: "\(option) needs a number, not '\(text)'")
        }
        return number
    }
}
