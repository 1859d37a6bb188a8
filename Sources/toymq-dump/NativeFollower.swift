import Inspection
import SystemPackage
import WAL

/// Keeps its place in a log of ours that grows, and shows what has come since it last looked.
///
/// The file that is read stays open: a seal renames it, and takes nothing from it but zeros. What
/// nothing proves durable may still be taken back, when a commit fails or a restarted writer cuts a
/// torn end; so what was shown of it is compared with what is there at each look, and shown anew
/// where it has changed.
///
/// Damage is not judged here. Where the walk stands still and something shows that the place is
/// damaged, a survey tells what a dump would, and the walk goes on where that has ended.
final class NativeFollower: Follower {
    let name: String
    let topic: TopicTarget
    let disk: any Disk
    let printer: Printer
    private let directory: FilePath
    /// The one file, where it stands alone.
    private let loneFile: String?

    var place: FollowedSegment?
    /// The id that comes next; nil before anything is known about the log.
    var nextID: UInt64?
    /// Where a survey has ended.
    var start: FollowStart?
    /// All ids below are known durable.
    var durableBelow: UInt64 = 0
    /// What was shown ends at this position in the life of the log; nil if nothing was.
    var shownTo: UInt64?
    /// The id that the last segment begins with that was read to its end.
    private var leftFirst: UInt64?
    /// A frame of a later version was met: like a dump, this tells nothing that lies behind it.
    var endsInNewer = false
    /// What surveys have told.
    var known: Set<ToldFinding> = []
    /// What the last look at a place without a frame was at, and what it had to show.
    var lastLook: StandStill?
    var judged: Evidence?

    /// Begins at the first id; after `survey`, where that has ended.
    init(_ topic: TopicTarget, _ disk: any Disk, _ printer: Printer) {
        name = topic.name
        self.topic = topic
        directory = topic.directory
        self.disk = disk
        self.printer = printer
        if case .loneSegment(let file) = topic.kind { loneFile = file } else { loneFile = nil }
    }

    func look() throws(DiskError) {
        printer.durableBelow = durableBelow
        defer { printer.durableBelow = nil }
        while !printer.isDone, !endsInNewer {
            if place == nil { try attach() }
            guard place != nil else {
                guard try meetsUnreadable() else { return }
                try survey()
                continue
            }
            let isSealed = try hasMoved()
            try showNew(isSealed: isSealed)
            if try meetsDamage(isSealed: isSealed) {
                try survey()
                continue
            }
            guard isSealed else { return }
            leave()
        }
    }

    // MARK: From segment to segment

    /// Whether the file that is read is no longer the active segment.
    private func hasMoved() throws(DiskError) -> Bool {
        guard let place, loneFile == nil else { return false }
        if place.name != SegmentName.activeName { return true }
        let status = try disk.status(SegmentName.active.path(in: directory))
        // Between a seal and the next segment there is none: the next look will tell.
        guard let status else { return false }
        return status.identity != place.identity
    }

    /// Finds the segment with the next id and opens it.
    private func attach() throws(DiskError) {
        if let loneFile {
            if let lone = try open(loneFile) { enter(lone) }
            return
        }
        var listing = SegmentListing(try disk.list(directory))
        var active: FollowedSegment?
        if listing.hasActive {
            active = try open(SegmentName.activeName)
            // Again: only now is all that was sealed before it in the list for certain.
            listing = SegmentListing(try disk.list(directory))
        }
        var found: UInt64?
        for first in listing.sealed where leftFirst.map({ first > $0 }) ?? true {
            if found == nil || first <= nextID ?? 0 { found = first }
        }
        if let active {
            if active.firstID <= nextID ?? 0 || found == nil { return enter(active) }
            active.file.close()
        }
        if let found, let sealed = try open(SegmentName.sealed(first: found).fileName) {
            enter(sealed)
        }
    }

    private func enter(_ new: FollowedSegment) {
        if let nextID, new.firstID > nextID {
            printer.finding(
                Finding(
                    .segmentMissing, segment: new.name,
                    detail: "ids \(nextID) to \(new.firstID - 1) were dropped or lost before "
                        + "they were shown", lost: nextID...new.firstID - 1,
                    evidence: "the next segment that is there begins with a higher id"))
        }
        var new = new
        new.skipsBelow = nextID ?? 0
        // Behind damage there is no walking there from the beginning of the file.
        if let start, start.position >= new.base, start.position - new.base <= new.size {
            new.begin(at: start.position - new.base, id: start.id)
        }
        start = nil
        place = new
    }

    /// Opens a segment that begins with a whole mark, or that a survey has ended in; nil if it is
    /// neither, or is gone already.
    private func open(_ name: String) throws(DiskError) -> FollowedSegment? {
        do {
            return try FollowedSegment(
                directory.appending(name), name, surveyed: start, on: disk)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// The active segment, or the one file, where nothing of it could be attached to.
    var unreadable: FilePath { directory.appending(loneFile ?? SegmentName.activeName) }

    /// Leaves a sealed segment for the one behind it. What was not read of it has been told.
    private func leave() {
        guard let place else { return }
        noteShown()
        leftFirst = place.firstID
        place.file.close()
        self.place = nil
    }

    /// Notes how far the segment that is read was shown.
    func noteShown() {
        if let place, place.offset > 0 { shownTo = place.base &+ place.offset }
    }
}

// MARK: Frames

extension NativeFollower {
    /// What a walk over the new frames has given.
    struct Walk {
        var end: UInt64
        var nextID: UInt64
        var durableBelow: UInt64
        /// What was shown is not there any more.
        var isChanged = false
    }

    /// Bytes walked before they are shown; the walk then goes on to the end of a commit.
    private static let portionBytes: UInt64 = 4 << 20

    fileprivate func showNew(isSealed: Bool) throws(DiskError) {
        while var here = place, !printer.isDone {
            let size = try here.file.status().size
            var walk = try self.walk(here, size)
            if walk.isChanged {
                here.offset = here.provenOffset
                here.unproven = []
                place = here
                walk = try self.walk(here, size)
            }
            durableBelow = max(durableBelow, walk.durableBelow)
            if isSealed { durableBelow = max(durableBelow, walk.nextID) }
            let before = here.offset
            try show(&here, to: walk.end)
            nextID = max(nextID ?? 0, walk.nextID)
            here.nextID = walk.nextID
            place = here
            if here.offset == before { return }
        }
    }

    /// Walks what is not proved and what is new, and finds out what it proves. It stops quietly at
    /// whatever is not a whole frame: that may be one soon.
    func walk(_ place: FollowedSegment, _ size: UInt64) throws(DiskError) -> Walk {
        var walker = FrameWalker(place.file, from: place.provenOffset, to: size)
        var walk = Walk(end: place.provenOffset, nextID: place.provenID, durableBelow: durableBelow)
        var shown = place.unproven[...]
        while case .frame(let frame) = try walker.next(id: walk.nextID, base: place.base) {
            let isNew = walker.offset > place.offset
            if isNew, !shown.isEmpty { break }
            if !isNew, shown.popFirst() != frame.crc { break }
            if isNew, frame.fields.commitIndex == 0, walk.end > place.offset,
                walker.offset - place.offset
                    > NativeFollower.portionBytes + UInt64(frame.bytes)
            {
                // All before it is proved by it; it comes with the next portion.
                walk.durableBelow = max(walk.durableBelow, frame.fields.id)
                return walk
            }
            if let durable = frame.fields.durableBelow {
                walk.durableBelow = max(walk.durableBelow, durable)
            }
            walk.nextID = frame.nextID
            walk.end = walker.offset
        }
        walk.isChanged = walk.end < place.offset
        return walk
    }

    private func show(_ place: inout FollowedSegment, to end: UInt64) throws(DiskError) {
        printer.durableBelow = durableBelow
        var walker = FrameWalker(place.file, from: place.provenOffset, to: end)
        let shownEnd = place.offset
        var id = place.provenID
        var unproven: [UInt32] = []
        while !printer.isDone {
            let offset = walker.offset
            guard case .frame(let frame) = try walker.next(id: id, base: place.base) else { break }
            let facts = FrameFacts(frame, at: offset)
            let last = frame.isMark ? frame.fields.id : frame.nextID - 1
            if offset >= shownEnd, last >= place.skipsBelow {
                printer.show(facts, bytes: walker.frameBytes, file: place.name)
            }
            id = frame.nextID
            place.offset = max(place.offset, walker.offset)
            if unproven.isEmpty, facts.isBelow(durableBelow) {
                place.provenOffset = walker.offset
                place.provenID = id
            } else {
                unproven.append(frame.crc)
            }
        }
        place.unproven = unproven
    }
}
