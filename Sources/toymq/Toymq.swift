import ArgumentParser
import Broker
import Logging
import Server
import SystemPackage
import ToolSupport
import WAL

/// The broker: reads its settings, puts disk, topics and connections together, and stops when it is
/// told to.
@main
struct Toymq: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "toymq",
        abstract: "A message broker that acknowledges nothing before it is on stable storage.",
        discussion: """
            Every setting can be given as a flag, as an environment variable (--max-payload is \
            TOYMQ_MAX_PAYLOAD) or in a JSON file named by --config ({"max-payload": 65536}); the \
            first of these that has it counts. Durations are 500ms, 30s, 2m or 1h, sizes are bytes \
            or 64KiB, 1MiB.

            When it serves, it prints `listening ADDRESS:PORT` to standard output, and tells the \
            supervisor that started it (sd_notify). Logs go to standard error.

            SIGTERM or SIGINT: no more connections and commands; what was taken is answered, \
            positions are written, logs closed. A second signal ends it at once; nothing that was \
            acknowledged is lost by that.

            Exit codes: 0 stopped; 1 stopped before everything was answered; 2 did not start; \
            64 usage.
            """,
        version: Server.version)

    @OptionGroup var flags: Flags

    static func main() {
        // Before anything is opened, the settings file included.
        ProgramStart.prepare()
        Arguments.check()
        main(nil)
    }

    func validate() throws {
        do {
            _ = try Settings(flags)
        } catch {
            throw ValidationError(error.description)
        }
    }

    func run() throws {
        let settings: Settings
        do {
            settings = try Settings(flags)
        } catch {
            throw ValidationError(error.description)
        }
        Process.raiseDescriptorLimit()
        Process(settings).run()
    }
}
