import Inspection
import SystemPackage
import WAL

/// Keeps its place in a log of ours that grows, and shows what has come since it last looked.
///
/// The file that is read stays open: a seal renames it, and takes nothing from it but zeros. What
/// nothing proves durable may still be taken back, when a commit fails or a restarted writer cuts a
/// torn end; so what was shown of it is compared with what is there at each look, and shown anew
/// where it has changed.
final class NativeFollower: Follower {
    let name: String
    private let directory: FilePath
    private let disk: any Disk
    private let printer: Printer
    /// The one file, where it stands alone.
    private let loneFile: String?

    private var place: FollowedSegment?
    /// The id that comes next; nil before anything is known about the log.
    private var nextID: UInt64?
    /// Where a survey has ended, by position in the life of the log.
    private var start: UInt64?
    /// All ids below are known durable.
    private var durableBelow: UInt64

    /// Begins behind what `printer` has met last of this topic, or at the first id that is not
    /// below `durableBelow`.
    init(_ topic: TopicTarget, _ disk: any Disk, _ printer: Printer, durableBelow: UInt64) {
        name = topic.name
        directory = topic.directory
        self.disk = disk
        self.printer = printer
        self.durableBelow = durableBelow
        if case .loneSegment(let file) = topic.kind { loneFile = file } else { loneFile = nil }
        if let last = printer.last {
            nextID = last.nextID
            start = last.position
        } else if durableBelow > 0 {
            nextID = durableBelow
        }
    }

    func look() throws(DiskError) {
        printer.durableBelow = durableBelow
        defer { printer.durableBelow = nil }
        while !printer.isDone {
            if place == nil { try attach() }
            guard place != nil else { return }
            let isSealed = try hasMoved()
            try showNew(isSealed: isSealed)
            guard isSealed else { return }
            try leave()
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
        return status.inode != place.inode
    }

    /// Finds the segment with the next id and opens it.
    private func attach() throws(DiskError) {
        if let loneFile {
            if let lone = try open(loneFile) { enter(lone) }
            return
        }
        let listing = SegmentListing(try disk.list(directory))
        var found: UInt64?
        for first in listing.sealed where found == nil || first <= nextID ?? 0 { found = first }
        if listing.hasActive, let active = try open(SegmentName.activeName) {
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
                        + "they were shown", lost: nextID...new.firstID - 1))
        }
        var new = new
        new.skipsBelow = nextID ?? 0
        // Behind damage there is no walking there from the beginning of the file.
        if let start, let nextID, start >= new.base, start - new.base <= new.size {
            new.begin(at: start - new.base, id: nextID)
        }
        start = nil
        place = new
    }

    /// Opens a segment that begins with a whole mark; nil if it does not, or is gone already.
    private func open(_ name: String) throws(DiskError) -> FollowedSegment? {
        do {
            return try FollowedSegment(directory.appending(name), name, on: disk)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// Leaves a sealed segment for the one behind it.
    private func leave() throws(DiskError) {
        guard let place else { return }
        let size = try place.file.status().size
        if place.offset < size {
            printer.finding(
                Finding(
                    .badLength, segment: place.name, offset: place.offset,
                    length: size - place.offset,
                    detail: "no whole frame here, in a segment that was sealed"))
        }
        place.file.close()
        self.place = nil
    }
}

/// A segment that is read while it grows.
struct FollowedSegment {
    let file: any DiskFile
    let name: String
    /// Position of the first byte.
    let base: UInt64
    let inode: UInt64
    /// The id that its mark announces.
    let firstID: UInt64
    /// When it was opened.
    let size: UInt64
    /// What lies before this id was shown already.
    var skipsBelow: UInt64 = 0
    /// What was shown ends here.
    var offset: UInt64 = 0
    /// The first frame that nothing proves durable, at most `offset`, and its id.
    var provenOffset: UInt64 = 0
    var provenID: UInt64
    /// The checksums from there to `offset`, one after the other.
    var unproven: [UInt32] = []

    /// Nil if it does not begin with a whole mark.
    init?(_ path: FilePath, _ name: String, on disk: any Disk) throws(DiskError) {
        let file = try disk.open(path, .read)
        let status = try file.status()
        var walker = FrameWalker(file, to: status.size)
        guard case .frame(let frame) = try walker.next(id: nil, base: nil), frame.isMark else {
            file.close()
            return nil
        }
        self.file = file
        self.name = name
        base = frame.fields.position
        inode = status.inode
        firstID = frame.fields.id
        size = status.size
        provenID = frame.fields.id
    }

    /// Goes on at `offset`, where `id` belongs.
    mutating func begin(at offset: UInt64, id: UInt64) {
        self.offset = offset
        provenOffset = offset
        provenID = id
    }
}

// MARK: Frames

extension NativeFollower {
    /// What a walk over the new frames has given.
    private struct Walk {
        var end: UInt64
        var nextID: UInt64
        var durableBelow: UInt64
        /// What was shown is not there any more.
        var isChanged = false
    }

    /// Bytes walked before they are shown; the walk then goes on to the end of a commit.
    private static let portionBytes: UInt64 = 4 << 20

    private func showNew(isSealed: Bool) throws(DiskError) {
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
            place = here
            if here.offset == before { return }
        }
    }

    /// Walks what is not proved and what is new, and finds out what it proves. It stops quietly at
    /// whatever is not a whole frame: that may be one soon.
    private func walk(_ place: FollowedSegment, _ size: UInt64) throws(DiskError) -> Walk {
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
