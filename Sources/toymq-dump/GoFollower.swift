import Inspection
import SystemPackage
import WAL

/// Keeps its place in the last file of a Go log. Nothing there ever proves a frame durable.
final class GoFollower: Follower {
    let name: String
    private let directory: FilePath
    private let disk: any Disk
    private let printer: Printer
    private var segment: GoSegment?
    /// What was shown ends here.
    private var offset: UInt64 = 0
    private var nextID: UInt64?
    /// Whether the files of the directory belong to the log, and not the one file alone.
    private let hasDirectory: Bool

    init(_ topic: TopicTarget, _ segments: [GoSegment], _ disk: any Disk, _ printer: Printer) {
        name = topic.name
        directory = topic.directory
        self.disk = disk
        self.printer = printer
        if case .go(_, nil, let foreign) = topic.kind, segments.count == 1, foreign.isEmpty {
            // It may be a topic's only file or one that was named: then its name tells.
            hasDirectory = GoSegment(segments[0].path) != nil
        } else {
            hasDirectory = true
        }
        segment = segments.last
        guard let last = printer.last else { return }
        nextID = last.nextID
        segment = segments.first { $0.name == last.file } ?? segments.last
        offset = last.end
    }

    func look() throws(DiskError) {
        while !printer.isDone {
            // The next file first: what is there once it is, is all that its predecessor has.
            let next = try followingSegment()
            if let segment { try showNew(segment) }
            guard let next else { return }
            segment = next
            offset = 0
        }
    }

    private func followingSegment() throws(DiskError) -> GoSegment? {
        guard hasDirectory else { return nil }
        var next: GoSegment?
        for entry in try disk.list(directory) where entry.kind == .file {
            guard let found = GoSegment(directory.appending(entry.name)) else { continue }
            if let segment, found.number <= segment.number { continue }
            if let best = next, best.number <= found.number { continue }
            next = found
        }
        return next
    }

    private func showNew(_ segment: GoSegment) throws(DiskError) {
        let file: any DiskFile
        do {
            file = try disk.open(segment.path, .read)
        } catch {
            // Removed meanwhile: the next one goes on.
            if error.errno == .noSuchFileOrDirectory { return }
            throw error
        }
        defer { file.close() }
        let size = try file.status().size
        var bytes = ByteBuffer()
        while offset < size, !printer.isDone {
            bytes.reset()
            // Whatever the length field says: enough for the largest frame, and for many.
            let count = Int(min(size - offset, UInt64(GoFrameLayout.largestFrame)))
            _ = try file.readFully(at: offset, count: count, into: &bytes)
            let shown = show(bytes, segment)
            if shown == 0 { return }
            offset += UInt64(shown)
        }
    }

    /// Shows the whole frames that `bytes` begin with, and tells how many bytes they are.
    private func show(_ bytes: borrowing ByteBuffer, _ segment: GoSegment) -> Int {
        var start = 0
        while !printer.isDone {
            let rest = bytes.bytes.extracting(start..<bytes.count)
            guard case .success(let frame) = GoFrameDecoder.decode(rest), frame.id >= nextID ?? 0
            else { break }
            printer.show(
                FrameFacts(frame, at: offset + UInt64(start)),
                bytes: rest.extracting(0..<frame.frameBytes), file: segment.name)
            nextID = frame.nextID
            start += frame.frameBytes
        }
        return start
    }
}
