import Glibc
import Inspection
import SystemPackage
import ToolSupport
import WAL

/// Keeps its place in a log that grows.
protocol Follower: AnyObject {
    /// The topic's name.
    var name: String { get }
    /// Shows what has come since the last look.
    func look() throws(DiskError)
}

/// Prints logs and goes on with what is appended to them, until a signal comes, the reader has
/// gone, or enough was shown.
struct Follow {
    private let target: Target
    private let printer: Printer
    private let output: Output
    private let disk: StoppableDisk

    /// Waited between two looks.
    private static let pauseMilliseconds: Int32 = 100
    /// New topics are looked for every so many looks.
    private static let looksPerListing = 10

    init(_ target: Target, _ printer: Printer, _ output: Output, _ disk: StoppableDisk) {
        self.target = target
        self.printer = printer
        self.output = output
        self.disk = disk
    }

    func run() -> Outcome {
        var followers: [any Follower] = []
        for topic in target.topics {
            do {
                followers.append(try start(topic))
            } catch {
                if isOver { break }
                printer.flush()
                voice.say(Printable.text("topic \(topic.name): \(error)"))
                return printer.shown == 0 ? .failed : .incomplete
            }
            if isOver { return end }
        }
        return follow(&followers)
    }

    private var isOver: Bool { Cancellation.isRequested || printer.isDone }

    /// Being told to end is no fault, and what was found until then counts. A reader that has gone
    /// has seen what it wanted.
    private var end: Outcome {
        printer.foundWorse && output.failure != .closed ? .incomplete : .done
    }

    /// Shows what is there already.
    private func start(_ topic: TopicTarget) throws(DiskError) -> any Follower {
        printer.begin(topic: topic.name)
        if case .go(let segments, _, _) = topic.kind {
            let survey = TopicSurvey(topic, on: Storage(disk), keeping: .none)
            if let error = survey.run(visitor: printer).error { throw error }
            return GoFollower(topic, segments, disk, printer)
        }
        let follower = NativeFollower(topic, disk, printer)
        try follower.survey()
        return follower
    }

    private func follow(_ followers: inout [any Follower]) -> Outcome {
        var looks = 0
        while !isOver {
            for follower in followers {
                printer.resume(topic: follower.name)
                do {
                    try follower.look()
                } catch {
                    if isOver { return end }
                    printer.flush()
                    voice.say(Printable.text("\(error)"))
                    return .incomplete
                }
                if isOver { return end }
            }
            printer.flush()
            if isOver { return end }
            output.wait(milliseconds: Follow.pauseMilliseconds)
            looks += 1
            if looks % Follow.looksPerListing == 0 { addNewTopics(to: &followers) }
        }
        return end
    }

    /// Topics that a data directory has got meanwhile.
    private func addNewTopics(to followers: inout [any Follower]) {
        guard target.topics.contains(where: { $0.dataDirectory == target.path }),
            let now = try? Target.resolve(target.path, dialect: .native, on: Storage(disk))
        else { return }
        let known = Set(followers.map(\.name))
        for topic in now.topics where !known.contains(topic.name) {
            guard case .native = topic.kind else { continue }
            printer.begin(topic: topic.name)
            followers.append(NativeFollower(topic, disk, printer))
        }
    }
}
