import ArgumentParser
import Corpus
import SystemPackage
import ToolSupport
import WAL

@main
struct ToymqFuzzgen: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymq-fuzzgen",
        abstract: "Makes a corpus of frames and of whole, torn and damaged logs.",
        discussion: """
            Writes seeds for a parser of frames to OUT/frames, data directories to OUT/images, \
            OUT/frame.dict for libFuzzer and AFL++, and OUT/manifest.json, which says of each what \
            it has to give: the verdict, the findings and the ids of the messages that are intact. \
            The same seed gives the same bytes on any machine, and a larger count only adds to \
            them. OUT must be empty or not there.

            Exit codes: 0 done; 2 could not do it; 64 usage.
            """,
        version: ToolVersion.current)

    @Argument(
        help: ArgumentHelp("A directory that is empty or not there.", valueName: "out"),
        completion: .directory)
    var out: String

    @Option(help: ArgumentHelp("What the corpus is made from.", valueName: "n"))
    var seed: UInt64 = 1

    @Option(
        help: ArgumentHelp("How many frames, and how many images.", valueName: "n"))
    var count: Int = 256

    static func main() {
        ProgramStart.prepare()
        Arguments.check()
        main(nil)
    }

    func validate() throws {
        if out.isEmpty { throw ValidationError("OUT is empty.") }
        if !(1...1_000_000).contains(count) {
            throw ValidationError("--count is between 1 and 1000000.")
        }
    }

    func run() throws {
        do {
            try CorpusWriter(FilePath(out), seed: seed, count: count, on: .local).run()
        } catch {
            ToolVoice("toymq-fuzzgen").say("\(error)")
            throw ExitCode(2)
        }
    }
}
