internal import SystemPackage
internal import Threads
internal import WAL

/// Payloads that a search for frames must not take for the log.
extension Run {
    /// All bytes of the active segment.
    package var activeBytes: [UInt8] {
        disk.state.bytes(Exploration.directory.appending(SegmentName.activeName)) ?? []
    }

    /// Whole frames with ids and positions of another place, each the first of its commit: it
    /// would prove every id before it durable.
    package func foreignFrames(from id: UInt64) -> [UInt8] {
        var buffer = ByteBuffer()
        for number in 0..<3 as Range<UInt64> {
            append(
                to: &buffer, payloads(1, bytes: 20)[0],
                .init(id: id + number, position: position &+ 1 << 20, timestamp: 1))
        }
        return buffer.bytes.copied()
    }

    /// A payload for the next append, with frames in it that stand where they say: copies of
    /// messages before, and one with the id of the append itself.
    package func framesInPlace() -> [UInt8] {
        let next = log?.durable.upperBound.rawValue ?? 0
        let start = position &+ UInt64(activeBytes.count + FrameLayout.fixedBytes)
        var buffer = ByteBuffer()
        for id in [next - 1, 0, next] {
            append(
                to: &buffer, payloads(1, bytes: 20)[0],
                .init(id: id, position: start &+ UInt64(buffer.count), timestamp: 1))
        }
        return buffer.bytes.copied()
    }

    private func append(
        to buffer: inout ByteBuffer, _ payload: [UInt8], _ place: FrameEncoder.Place
    ) {
        let message = Message(payload: RawSpan(of: payload))
        guard let size = FrameEncoder.frameBytes(message) else { return }
        FrameEncoder.append(message, frameBytes: size, at: place, to: &buffer)
    }

    /// The power goes in the midst of a commit: its first bytes have not reached the platter, all
    /// that comes behind has.
    package func tear(_ number: Int, bytes: Int) {
        let before = disk.state
        let beforeSync = Monitor<SimulatedState?>(nil)
        let scratch = SimulatedDisk(before, partsOfWrites: 0) { state, call in
            if case .sync = call { beforeSync.withLock { $0 = state } }
        }
        let other = Run(
            disk: scratch, knowledge: knowledge, options: options, position: position,
            salt: 500_000 + knowledge.attempted.count)
        other.open()
        other.append(number, bytes: bytes)
        let path = Exploration.directory.appending(SegmentName.activeName)
        guard var state = beforeSync.withLock({ $0 }), let inode = state.resolve(path),
            let file = state.file(inode), case .write(let commit)? = file.pending.last
        else { return knowledge.breaks("the workload made no torn commit") }
        var bytes = file.cached
        for at in commit.offset..<commit.offset + 20 { bytes[at] = 0 }
        state.inodes[inode] = .file(.init(forced: bytes, modified: Int64(bytes.count)))
        knowledge.attempted.formUnion(other.knowledge.attempted)
        endProcess(leaving: state)
    }
}
