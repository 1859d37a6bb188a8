import Inspection
import SystemPackage
import ToolSupport
import WAL

/// Prints logs, goes on past damage, and writes nothing.
struct Dump {
    private let options: DumpOptions
    private let output = Output()
    private let disk = StoppableDisk()

    init(_ options: DumpOptions) { self.options = options }

    func run(_ path: FilePath, dialect: LogDialect?, topic: String?) -> Outcome {
        let target: Target
        do {
            target = try Target.resolve(path, dialect: dialect, topic: topic, on: Storage(disk))
        } catch {
            voice.say(Printable.text("\(error)"))
            return .failed
        }
        let printer = Printer(
            options, output: output, disk: disk, topicWidth: topicWidth(target))
        for (name, finding) in target.misnamedFindings where !printer.isDone {
            printer.begin(topic: name)
            printer.finding(finding)
        }
        let outcome: Outcome
        if options.follow {
            Cancellation.listen(secondExits: Outcome.done.rawValue)
            outcome = Follow(target, printer, output, disk).run()
        } else {
            outcome = dump(target, printer)
        }
        printer.flush()
        guard case .failed(let errno)? = output.failure else { return outcome }
        voice.say("\(OutputError(errno.rawValue))")
        return .failed
    }

    /// The width of the topics' column; nil where there is one topic only.
    private func topicWidth(_ target: Target) -> Int? {
        guard target.topics.count > 1 else { return nil }
        return target.topics.map { Printable.text($0.name).count }.max()
    }

    private func dump(_ target: Target, _ printer: Printer) -> Outcome {
        var failures = 0
        for topic in target.topics where !printer.isDone {
            printer.begin(topic: topic.name)
            let shownBefore = printer.shown
            let survey = TopicSurvey(topic, on: Storage(disk), keeping: .none)
            let report = survey.run(visitor: printer)
            if let error = report.error, !disk.isStopped {
                printer.flush()
                voice.say(
                    Printable.text(
                        "topic \(topic.name): \(error); what is left of it was not read"))
                failures += 1
                // Of what was not read there are no numbers: zeros would say that nothing is there.
                if printer.shown == shownBefore { continue }
            }
            printer.endTopic(report.segments)
        }
        // A reader that has gone has seen what it wanted.
        if output.failure == .closed { return .done }
        if failures > 0, failures == target.topics.count, printer.shown == 0 { return .failed }
        return failures > 0 || printer.foundWorse ? .incomplete : .done
    }
}
