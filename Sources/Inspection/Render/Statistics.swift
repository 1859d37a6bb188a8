/// Numbers about the messages of one topic. Of fixed size, however many there are.
package struct Statistics {
    /// `countsMarks`: whether marks are among the frames that are counted.
    package init(countsMarks: Bool = false) { marks = countsMarks ? 0 : nil }

    private(set) var segments: UInt64 = 0
    private(set) var fileBytes: UInt64 = 0
    private(set) var messages: UInt64 = 0
    /// Nil where they are left out.
    private(set) var marks: UInt64?
    private(set) var lostMessages: UInt64 = 0
    private(set) var keys: UInt64 = 0
    private(set) var withHeaders: UInt64 = 0
    private(set) var frameBytes: UInt64 = 0
    private(set) var payloadBytes: UInt64 = 0
    private(set) var firstID: UInt64?
    private(set) var lastID: UInt64?
    private(set) var earliest: UInt64?
    private(set) var latest: UInt64?
    /// Nil where frames say nothing of commits (Go).
    private(set) var commits: UInt64?
    private(set) var findings: UInt64 = 0
    private var lastCommit: UInt64?
    private var inCommit: UInt64 = 0
    private(set) var largestCommit: UInt64 = 0
    private(set) var sizes = SizeHistogram()

    /// Counts a file.
    package mutating func addSegment(bytes: UInt64) {
        segments += 1
        fileBytes += bytes
    }

    /// Counts a finding.
    package mutating func note(_ finding: Finding) { findings += 1 }

    /// Counts a frame.
    package mutating func note(_ frame: FrameFacts) {
        frameBytes += UInt64(frame.length)
        switch frame.role {
        case .mark:
            marks = (marks ?? 0) + 1
            return
        case .lost(let count):
            lostMessages &+= count
            return
        case .message: break
        }
        messages += 1
        payloadBytes += UInt64(frame.payload.count)
        sizes.add(frame.payload.count)
        if frame.key != nil { keys += 1 }
        if frame.headers != nil { withHeaders += 1 }
        if firstID == nil { firstID = frame.id }
        lastID = frame.id
        earliest = min(earliest ?? .max, frame.timestamp)
        latest = max(latest ?? 0, frame.timestamp)
        if let commit = frame.commit {
            if commit != lastCommit {
                commits = (commits ?? 0) + 1
                inCommit = 0
            }
            lastCommit = commit
            inCommit += 1
            largestCommit = max(largestCommit, inCommit)
        }
    }

    /// Nanoseconds from the first message to the last; nil without any.
    var span: UInt64? {
        guard let earliest, let latest else { return nil }
        return latest - earliest
    }

    /// How many a second; nil where no time has passed.
    func rate(_ count: UInt64) -> Double? {
        guard let span, span > 0 else { return nil }
        return Double(count) / (Double(span) / 1e9)
    }

    var perCommit: Double? {
        guard let commits, commits > 0 else { return nil }
        return Double(messages) / Double(commits)
    }

    var meanPayload: Double? {
        messages > 0 ? Double(payloadBytes) / Double(messages) : nil
    }
}
