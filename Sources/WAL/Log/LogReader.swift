internal import SystemPackage
internal import Threads

/// Whether a reader goes on.
public enum ReadStep: Hashable, Sendable {
    /// On to the next message.
    case next
    /// Enough; the message just seen counts as read.
    case stop
    /// Enough; the message just seen comes again with the next read.
    case stopBefore
}

/// Reads a log from an id on, in order. It sees only what is durable, goes on across a seal, and
/// never waits: when it has caught up it says so, and `Log.notify` tells when there is more.
///
/// One thread at a time. It blocks on the disk: not for the cooperative pool. It holds a
/// descriptor, shared with other readers of the segment, while it has not caught up, and no buffer
/// between reads. That of the segment that is appended to stays open, for whoever comes next.
public struct LogReader: ~Copyable {
    private let core: LogCore
    /// The id that comes next.
    public private(set) var position: MessageID
    private var place: Place?

    private struct Place {
        var segment: Segment
        /// Nil once the reader has caught up.
        var file: (any DiskFile)?
        /// Where the next frame begins.
        var offset: UInt64
    }

    /// Bytes read at once.
    private static let chunkBytes = 64 << 10

    init(_ core: LogCore, from id: MessageID) {
        self.core = core
        position = id
    }

    /// Shows up to `limit` messages to `body` and tells how many it has; fewer mean that the reader
    /// has caught up with what is durable, or that `body` stopped it. Ids that were lost or
    /// dropped are passed over.
    ///
    /// Throws `unreadable` for an I/O error and `damaged` for a durable frame that is not there any
    /// more; the reader stays where it was and may be asked again.
    public mutating func read(
        upTo limit: Int, _ body: (borrowing StoredMessage) -> ReadStep
    ) throws(LogError) -> Int {
        var count = 0
        var exhausted: (segment: Segment, end: UInt64)?
        while count < limit {
            guard let end = try find() else { return count }
            if let exhausted, exhausted.segment === place?.segment, exhausted.end == end {
                // Its frames end before the ids that it was seen to hold.
                throw .damaged(
                    segment: exhausted.segment.name.path(in: core.directory), offset: end)
            }
            switch try readSegment(to: end, limit: limit, count: &count, body) {
            case .stopped: return count
            case .segmentEnd: exhausted = place.map { ($0.segment, end) }
            }
        }
        return count
    }

    /// Finds the place of the next id, and where the durable part of its segment ends. Nil if it is
    /// not durable yet.
    private mutating func find() throws(LogError) -> UInt64? {
        while true {
            let wanted = position.rawValue
            let known = place?.segment
            let found = core.state.withLock { state -> (Segment, UInt64?, UInt64)? in
                guard wanted < state.durableNextID else { return nil }
                let begun = state.segments.partitionPoint { $0.segment.firstID <= wanted }
                let index = state.segments[..<begun].lastIndex { $0.end > 0 } ?? 0
                let entry = state.segments[index]
                // Where the reader stands already it needs no index.
                let isKnown = entry.segment === known
                return (entry.segment, isKnown ? nil : entry.index.offset(of: wanted), entry.end)
            }
            // Changed as a copy: Swift 6.3 does not release what an assignment through an optional
            // (`place?.file = nil`) replaces in a noncopyable struct, here a descriptor.
            var here = place
            defer { place = here }
            guard let (segment, offset, end) = found else {
                here?.file = nil
                return nil
            }
            if let offset { here = Place(segment: segment, file: nil, offset: offset) }
            if here?.file == nil {
                do {
                    here?.file = try core.host.withDescriptors(for: core) { () throws(DiskError) in
                        try segment.open(in: core.directory, of: core.host.disk)
                    }
                } catch {
                    guard isDropped(segment, error) else { throw .unreadable(error) }
                    here = nil
                    continue
                }
            }
            return end
        }
    }

    /// Whether a segment was dropped between being found and being opened.
    private func isDropped(_ segment: Segment, _ error: DiskError) -> Bool {
        guard error.errno == .noSuchFileOrDirectory else { return false }
        return core.state.withLock { state in
            !state.segments.contains { $0.segment === segment }
        }
    }

    private enum Outcome { case stopped, segmentEnd }

    private mutating func readSegment(
        to end: UInt64, limit: Int, count: inout Int,
        _ body: (borrowing StoredMessage) -> ReadStep
    ) throws(LogError) -> Outcome {
        guard var here = place, let file = here.file else { return .segmentEnd }
        var walker = FrameWalker(
            file, from: here.offset, to: end, chunkBytes: LogReader.chunkBytes)
        defer { place = here }
        while count < limit {
            let step: FrameWalker.Step
            do {
                step = try walker.next(id: nil, base: here.segment.base)
            } catch {
                throw .unreadable(error)
            }
            switch step {
            case .frame(let frame):
                guard frame.isMessage, frame.fields.id >= position.rawValue else {
                    here.offset = walker.offset
                    position = max(position, MessageID(frame.nextID))
                    continue
                }
                let answer = body(StoredMessage(frame, in: walker.frameBytes))
                if answer == .stopBefore { return .stopped }
                here.offset = walker.offset
                position = MessageID(frame.nextID)
                count += 1
                if answer == .stop { return .stopped }
            case .end:
                return .segmentEnd
            case .broken:
                throw .damaged(
                    segment: here.segment.name.path(in: core.directory), offset: walker.offset)
            }
        }
        return .stopped
    }
}
