internal import SystemPackage

/// Opens a directory of segments: locks it, judges it, cuts a torn tail, writes again what nothing
/// proves durable, and forces all that readers will be shown.
struct Opening {
    let directory: FilePath
    let options: LogOptions
    let host: LogHost
    /// Shown the key of each message that has one.
    private let key: ((MessageID, RawSpan) -> Void)?
    private var disk: any Disk { host.disk }
    private var helper: ReadAhead.Helper? {
        guard host.options.helpsOpening else { return nil }
        return { [host] in host.handOver($0) }
    }

    init(
        _ directory: FilePath, _ options: LogOptions, _ host: LogHost,
        _ key: ((MessageID, RawSpan) -> Void)? = nil
    ) {
        self.directory = directory
        self.options = options
        self.host = host
        self.key = key
    }

    func open() throws(OpenError) -> (LogCore, RecoveryReport) {
        let lock = try lockDirectory()
        do {
            return try resolved().openParkingOthers(lock)
        } catch {
            lock.release()
            throw error
        }
    }

    /// The same for where the paths lead just now: the lock is on that directory, and what is
    /// renamed and removed later goes by its path. The process may go to another one until then,
    /// and the parents that are forced are those of that directory and not of a link to it.
    private func resolved() throws(OpenError) -> Opening {
        do {
            var options = options
            options.forcedUpTo = try options.forcedUpTo.map { (top) throws(DiskError) in
                try disk.resolve(top)
            }
            return Opening(try disk.resolve(directory), options, host, key)
        } catch { throw .io(error) }
    }

    /// Where no descriptor is left, idle logs give theirs up and all of it is done again: so far
    /// nothing has relied on it.
    private func openParkingOthers(
        _ lock: any DiskLock
    ) throws(OpenError) -> (LogCore, RecoveryReport) {
        try host.makingRoom(
            but: nil, { if case .io(let cause) = $0 { cause } else { nil } }
        ) { () throws(OpenError) in
            try openLocked(lock)
        }
    }

    private func lockDirectory() throws(OpenError) -> any DiskLock {
        do {
            if let status = try disk.status(directory) {
                guard status.kind == .directory else { throw OpenError.notADirectory(directory) }
            } else if options.createsDirectory {
                try refuseWhatIsGone()
                try disk.makeDirectory(directory)
            }
            return try host.withDescriptors(for: nil) { () throws(DiskError) in
                try disk.lock(directory)
            }
        } catch let error as OpenError {
            throw error
        } catch let error as DiskError {
            guard error.operation == .lock, error.errno == .wouldBlock else { throw .io(error) }
            let holder: Int32? =
                if case .process(let id)? = disk.lockHolder(directory) { id } else { nil }
            throw .inUse(directory: directory, process: holder)
        } catch { preconditionFailure("only typed errors are thrown above: \(error)") }
    }

    /// A log of which something is known durable is not made anew, nor is a directory for it.
    private func refuseWhatIsGone() throws {
        var examiner = LogExaminer(
            disk: disk, directory: directory, knownDurable: options.knownDurable?.rawValue)
        try refuse(try examiner.examine(SegmentListing()))
    }

    private func openLocked(_ lock: any DiskLock) throws(OpenError) -> (LogCore, RecoveryReport) {
        let builder = IndexBuilder(key)
        do {
            try host.storage.cutFailedEnd(in: directory)
            let listing = SegmentListing(try disk.list(directory))
            var examiner = LogExaminer(
                disk: disk, directory: directory, knownDurable: options.knownDurable?.rawValue,
                visitor: builder, helper: helper, keeping: .allButRemarks)
            let found = try examiner.examine(listing)
            builder.finish()
            try refuse(found)
            return try recover(found, listing, builder, lock)
        } catch let error as OpenError {
            throw error
        } catch let error as DiskError {
            throw .io(error)
        } catch { preconditionFailure("only typed errors are thrown above: \(error)") }
    }

    private func refuse(_ found: Examination) throws(OpenError) {
        switch found.verdict {
        case .clean, .zeroTail, .torn: return
        case .newer:
            let finding = found.findings.first { $0.kind == .unknownField }
            throw .newer(
                segment: directory.appending(finding?.segment ?? SegmentName.activeName),
                offset: finding?.offset ?? 0)
        case .damaged, .error:
            let damage = found.findings.filter(\.kind.isDamage)
            let first = damage.first
            throw .damaged(
                Damage(
                    segment: directory.appending(first?.segment ?? SegmentName.activeName),
                    offset: first?.offset ?? 0,
                    reason: first.map { "\($0.kind.rawValue), \($0.detail)" } ?? "damaged",
                    lost: first?.lost.map {
                        MessageID($0.lowerBound)...MessageID($0.upperBound)
                    },
                    places: damage.count))
        }
    }

    private func recover(
        _ found: Examination, _ listing: SegmentListing, _ builder: IndexBuilder,
        _ lock: any DiskLock
    ) throws(DiskError) -> (LogCore, RecoveryReport) {
        var segments = try sealedView(found, builder)
        let active: OpenedActive =
            switch found.active {
            case .made: try recoverActive(found)
            case .unmade(let exists):
                try makeActive(found, exists: exists, behind: segments.last)
            }
        for (name, companion) in listing.companions where companion == .temporary {
            // Left by a replacement that did not come to its rename: the old file is whole.
            try disk.remove(directory.appending(name))
        }
        let top = options.forcedUpTo ?? parent(of: directory)
        try Force.chain(to: directory, top: top, of: disk)
        if active.file != nil {
            let index = found.active == .made ? builder.indexes[.active] ?? .init() : .init()
            segments.append(
                ReadableSegment(segment: active.segment, end: active.end, index: index))
        }
        let report = RecoveryReport(
            tail: active.tail, isNew: found.segments.isEmpty,
            ids: MessageID(segments[0].segment.firstID)..<MessageID(found.nextID),
            bytesChecked: builder.bytes, bytesRewritten: active.rewritten)
        let core = makeCore(found, segments, active, lock)
        host.tookDescriptors(core)
        core.watchFromOpening()
        return (core, report)
    }

    private func parent(of path: FilePath) -> FilePath {
        let parent = path.lexicallyNormalized().removingLastComponent()
        return parent.isEmpty ? "." : parent
    }

    /// The active segment, recovered and forced.
    private struct OpenedActive {
        /// Nil if there was no room to make it: `segment` is the last sealed one then, and the next
        /// commit makes it.
        let file: (any DiskFile)?
        let segment: Segment
        let end: UInt64
        let size: UInt64
        let endsInMark: Bool
        let tail: RecoveryReport.Tail
        let rewritten: UInt64
        /// Of the mark, where that was made now and no examination has seen it.
        var madeAt: UInt64?
    }

    private func recoverActive(_ found: Examination) throws(DiskError) -> OpenedActive {
        guard let summary = found.activeSegment, let base = summary.base,
            let firstID = summary.firstID
        else { preconditionFailure("a sound active segment has a summary, a position and an id") }
        let file = try host.withDescriptors(for: nil) { () throws(DiskError) in
            try disk.open(SegmentName.active.path(in: directory), .readWrite)
        }
        var tail = RecoveryReport.Tail.clean
        var size = try file.status().size
        // Somebody who does not ask for the lock has made it shorter since it was examined.
        guard size >= summary.end else {
            throw DiskError(operation: .read, path: file.path, errno: .ioError)
        }
        switch summary.verdict {
        case .torn:
            if Mutant.cutBeforeEvidence.isOn { try cutEarly(file, to: summary.end) }
            let kept = try TailCut.setAside(
                file, from: summary.end, to: size, position: base &+ summary.end,
                directory: directory, disk: disk)
            if !Mutant.tailNotCut.isOn { try TailCut.cut(file, to: summary.end) }
            let reason = found.findings.first { $0.kind == .tornTail }?.detail ?? ""
            tail = .torn(bytes: size - summary.end, keptIn: kept, reason: reason)
            size = summary.end
        case .zeroTail: tail = .zeros(bytes: size - summary.end)
        case .clean, .damaged, .newer, .error: break
        }
        try rewrite(file, from: found.unprovenFrom, to: summary.end, base: base)
        if !Mutant.recoveryNotSynced.isOn { try Force.file(file, .everything) }
        let segment = Segment(
            name: .active, firstID: firstID, base: base, identity: try file.status().identity)
        return OpenedActive(
            file: file, segment: segment, end: summary.end, size: size,
            endsInMark: summary.endsInMark, tail: tail,
            rewritten: summary.end - found.unprovenFrom)
    }

    /// Frames that nothing proves durable may be in the page cache only, even marked clean there
    /// after a sync that failed: they are written again, the same bytes in the same place, so that
    /// the sync that follows covers them.
    private func rewrite(
        _ file: any DiskFile, from start: UInt64, to end: UInt64, base: UInt64
    ) throws(DiskError) {
        if Mutant.recoveryNotRewritten.isOn { return }
        var walker = FrameWalker(file, from: start, to: end)
        var buffer = ByteBuffer()
        var offset = start
        while offset < end {
            buffer.reset()
            while walker.offset < end, buffer.count < FrameWalker.chunkBytes {
                // Checked again as it is read: a bit that comes back wrong must not be written.
                guard case .frame = try walker.next(id: nil, base: base) else {
                    throw DiskError(operation: .read, path: file.path, errno: .ioError)
                }
                buffer.append(walker.frameBytes)
            }
            try file.writeAll(buffer.bytes, at: offset)
            offset += UInt64(buffer.count)
        }
    }

    private func makeActive(
        _ found: Examination, exists: Bool, behind last: ReadableSegment?
    ) throws(DiskError) -> OpenedActive {
        let position =
            found.endPosition ?? host.options.startPosition()
        let timestamp = max(found.lastTimestamp ?? 0, host.options.clock())
        // Whoever sealed the last segment may have been killed before its new name was forced. If a
        // power cut then took that but left the name of the file made now, it would have neither.
        if !Mutant.renameNotSynced.isOn { try Force.names(in: directory, of: disk) }
        let tail: RecoveryReport.Tail = exists ? .unfinishedSegment : .clean
        let before = try last.flatMap { (last) throws(DiskError) in
            try disk.status(last.segment.name.path(in: directory))
        }
        let made: (file: any DiskFile, identity: FileIdentity)
        do {
            made = try host.withDescriptors(for: nil) { () throws(DiskError) in
                try SegmentMaker.make(
                    in: directory, of: disk, id: found.nextID, position: position,
                    timestamp: timestamp, like: before?.access)
            }
        } catch {
            // A full disk keeps nobody from reading. A sync that failed is something else.
            guard error.isOutOfSpace, error.operation == .open || error.operation == .write,
                let last, last.segment.base &+ last.end == position
            else { throw error }
            return OpenedActive(
                file: nil, segment: last.segment, end: last.end, size: last.end, endsInMark: true,
                tail: tail, rewritten: 0)
        }
        let end = UInt64(FrameLayout.smallestFrame)
        return OpenedActive(
            file: made.file,
            segment: Segment(
                name: .active, firstID: found.nextID, base: position, identity: made.identity),
            end: end, size: end, endsInMark: true, tail: tail, rewritten: 0, madeAt: timestamp)
    }

    private func sealedView(
        _ found: Examination, _ builder: IndexBuilder
    ) throws(DiskError) -> [ReadableSegment] {
        var view: [ReadableSegment] = []
        for summary in found.segments {
            // An empty file under a sealed name holds nothing; the next seal may replace it.
            guard case .sealed(let first) = summary.name, summary.size > 0 else { continue }
            guard let base = summary.base else {
                preconditionFailure("a sound segment that is not empty has a position")
            }
            let path = summary.name.path(in: directory)
            // It was there when it was examined.
            guard let status = try disk.status(path) else {
                throw DiskError(operation: .status, path: path, errno: .noSuchFileOrDirectory)
            }
            let segment = Segment(
                name: summary.name, firstID: first, base: base, identity: status.identity)
            let index = builder.indexes[summary.name] ?? SparseIndex()
            view.append(ReadableSegment(segment: segment, end: summary.end, index: index))
        }
        return view
    }

    private func makeCore(
        _ found: Examination, _ segments: [ReadableSegment], _ active: OpenedActive,
        _ lock: any DiskLock
    ) -> LogCore {
        let writer = SegmentWriter(
            directory: directory, disk: disk, segmentBytes: options.segmentBytes,
            file: active.file, segment: active.segment, end: active.end, size: active.size,
            endsInMark: active.endsInMark)
        var nextID = found.nextID
        if Mutant.idReusedAfterCut.isOn, case .torn = active.tail, nextID > 0 { nextID -= 1 }
        var state = LogCore.State(
            nextID: nextID, nextPosition: writer.durablePosition,
            segmentFill: active.end, needsSegment: writer.needsSegment,
            lastTimestamp: max(found.lastTimestamp ?? 0, active.madeAt ?? 0),
            firstID: segments[0].segment.firstID,
            durableNextID: nextID, durablePosition: writer.durablePosition,
            segments: segments)
        state.writer = writer
        state.lock = lock
        state.cannotSeal = segments.dropLast().contains {
            $0.segment.firstID == active.segment.firstID
        }
        return LogCore(directory: directory, options: options, host: host, state: state)
    }
}
