import Inspection
import SystemPackage
import WAL

/// Prints what a survey or a follower shows, in the order of the log. Memory does not depend on
/// the log's size.
final class Printer: SurveyVisitor {
    private let options: DumpOptions
    private let output: Output
    private let disk: StoppableDisk
    private var renderer: FrameRenderer
    private(set) var stats = Statistics()
    private var topic = ""

    /// Frames that were printed, or counted where only numbers are asked for.
    private(set) var shown: UInt64 = 0
    /// Something worse than a remark was found.
    private(set) var foundWorse = false
    /// All ids below this are known durable; nil where nothing says so.
    var durableBelow: UInt64?
    /// What the last frame that was met has left behind, whether it was asked for or not.
    private(set) var last: LastFrame?

    /// Where a log of the Go program is gone on with.
    struct LastFrame {
        var file: String
        var end: UInt64
        var nextID: UInt64
    }

    /// `topicWidth` is that of the longest topic, nil where there is no column for it.
    init(_ options: DumpOptions, output: Output, disk: StoppableDisk, topicWidth: Int?) {
        self.options = options
        self.output = output
        self.disk = disk
        renderer = FrameRenderer(
            json: options.json, payload: options.payload, topicWidth: topicWidth,
            isFollowing: options.follow)
        if options.heading, !options.stats { renderer.heading() }
        if options.limit == 0 { disk.stop() }
    }

    /// Whether there is no use in going on.
    var isDone: Bool {
        if output.failure != nil { return true }
        return options.limit.map { shown >= $0 } ?? false
    }

    /// Goes on with another topic.
    func resume(topic: String) { self.topic = topic }

    /// Another topic begins.
    func begin(topic: String) {
        self.topic = topic
        stats = Statistics(countsMarks: options.filter.marks)
        last = nil
    }

    // MARK: SurveyVisitor

    func frame(_ frame: DecodedFrame, bytes: RawSpan, file: String, at offset: UInt64) {
        show(FrameFacts(frame, at: offset), bytes: bytes, file: file)
    }

    func frame(go message: borrowing GoMessage) {
        show(
            FrameFacts(message.frame, at: message.offset), bytes: message.bytes,
            file: message.segment)
    }

    /// Prints a frame, if it is asked for.
    func show(_ frame: FrameFacts, bytes: RawSpan, file: String) {
        if isDone { return }
        if options.follow {
            last = LastFrame(
                file: file, end: frame.offset + UInt64(frame.length), nextID: frame.nextID)
        }
        guard options.filter.admits(frame, bytes) else { return }
        shown += 1
        if options.stats {
            stats.note(frame)
        } else {
            renderer.frame(
                frame, bytes: bytes, topic: topic, segment: file,
                isDurable: durableBelow.map { frame.isBelow($0) } ?? false)
            flushIfLarge()
        }
        if isDone { disk.stop() }
    }

    func finding(_ finding: Finding) {
        // Whoever follows waits at a torn end: the rest of it may be on its way.
        if options.follow, finding.kind == .tornTail { return }
        if finding.severity > .remark { foundWorse = true }
        if isDone { return }
        // A filter hides frames and what is remarked about one of them, and no damage.
        if finding.kind.isAboutOneFrame, !options.filter.isOpen { return }
        if options.stats { stats.note(finding) }
        renderer.finding(finding, topic: topic)
        flushIfLarge()
        if isDone { disk.stop() }
    }

    // MARK: Output

    /// Ends a topic: prints the numbers if they are asked for.
    func endTopic(_ segments: [SegmentReport]) {
        guard options.stats else { return }
        for segment in segments { stats.addSegment(bytes: segment.size) }
        renderer.buffer.append(
            options.json ? stats.json(topic: topic) : stats.text(topic: topic))
    }

    /// Writes all that was printed.
    func flush() { output.take(&renderer.buffer) }

    private func flushIfLarge() {
        if renderer.buffer.count >= Output.pieceBytes { flush() }
    }
}
