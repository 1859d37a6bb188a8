internal import Threads

/// Has another thread read and check what comes next while a walk checks what it has: the checksum
/// is what a scan costs, and a log of a gibibyte is not to keep one core busy and the others idle.
///
/// It only makes the walk faster. The walk gets bytes together with the word that their checksums
/// hold, or nothing, and then reads and judges for itself: what is said of damage, and of a read
/// that fails, comes from one place. Nobody waits for a thread that has not begun.
package final class ReadAhead: Sendable {
    /// Gives a job to a thread that is idle; false if none is.
    package typealias Helper = @Sendable (@escaping @Sendable () -> Void) -> Bool

    /// A segment shorter than this is walked sooner than a thread has woken a few times.
    static let worthwhileBytes: UInt64 = 8 << 20

    /// Bytes with the word on them. Belongs to whoever has taken it out of the state: hence
    /// unchecked.
    private final class Window: @unchecked Sendable {
        var buffer = ByteBuffer()
        /// So many bytes of the buffer are frames whose checksums hold.
        var checkedBytes = 0
    }

    private enum State: Sendable {
        case idle(Window)
        /// No thread has begun yet.
        case asked(Window, start: UInt64)
        case busy
        case done(Window, start: UInt64)
    }

    private let file: any DiskFile
    /// Reading stops here.
    private let end: UInt64
    private let chunkBytes: Int
    private let helper: Helper
    private let state: Monitor<State>

    package init(
        _ file: any DiskFile, to end: UInt64, chunkBytes: Int = FrameWalker.chunkBytes,
        helper: @escaping Helper
    ) {
        self.file = file
        self.end = end
        self.chunkBytes = chunkBytes
        self.helper = helper
        state = Monitor(.idle(Window()))
    }

    /// Has the frames from `start` on read and checked, if nothing else is under way and a thread
    /// is idle.
    func ask(from start: UInt64) {
        guard start < end else { return }
        let isFree = state.withLock { state in
            guard case .idle(let window) = state else { return false }
            state = .asked(window, start: start)
            return true
        }
        if isFree, !helper({ [self] in run() }) { takeBack() }
    }

    /// Takes the frames that begin at `start` in exchange for the bytes in `buffer`; gives how many
    /// bytes of them are checked. Nil: the caller has to look for itself. To be called where it has
    /// come to `start`: it waits for a thread that is at work there.
    func take(from start: UInt64, into buffer: inout ByteBuffer) -> Int? {
        let window = state.wait { state -> Window?? in
            switch state {
            case .idle: return .some(nil)
            case .asked(let window, _):
                state = .idle(window)
                return .some(nil)
            case .busy: return nil
            case .done(let window, let found):
                state = .idle(window)
                return .some(found == start && window.checkedBytes > 0 ? window : nil)
            }
        }
        guard let window else { return nil }
        // The state has it, but only this thread asks, and it does so later.
        swap(&buffer, &window.buffer)
        return window.checkedBytes
    }

    /// Waits until no thread reads the file any more. It can be closed then.
    package func stop() {
        takeBack()
        state.wait { state -> Void? in
            if case .busy = state { nil } else { () }
        }
    }

    private func takeBack() {
        state.withLock { state in
            if case .asked(let window, _) = state { state = .idle(window) }
        }
    }

    /// What the other thread does.
    private func run() {
        let asked = state.withLock { state -> (Window, UInt64)? in
            guard case .asked(let window, let start) = state else { return nil }
            state = .busy
            return (window, start)
        }
        guard let (window, start) = asked else { return }
        fill(window, from: start)
        state.withLock { $0 = .done(window, start: start) }
        state.broadcast()
    }

    private func fill(_ window: Window, from start: UInt64) {
        window.buffer.reset()
        window.checkedBytes = 0
        let wanted = Int(min(UInt64(chunkBytes), end - start))
        // An error is met again, and reported, by the walk itself.
        guard (try? file.readFully(at: start, count: wanted, into: &window.buffer)) != nil else {
            return
        }
        while let (runEnd, holds) = FrameRun.check(&window.buffer, from: window.checkedBytes),
            holds
        {
            window.checkedBytes = runEnd
        }
    }
}
