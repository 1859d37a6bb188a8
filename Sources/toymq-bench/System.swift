import Glibc
import Threads

/// What the process has used up to now.
struct Usage {
    /// User and system time of all threads, in microseconds.
    let cpuMicroseconds: Double
    /// Bytes given to write calls, by /proc/self/io; nil where the kernel does not count them.
    let writtenBytes: UInt64?

    static func now() -> Usage {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let times = [usage.ru_utime, usage.ru_stime]
        let cpu = times.reduce(0.0) { $0 + Double($1.tv_sec) * 1e6 + Double($1.tv_usec) }
        return Usage(cpuMicroseconds: cpu, writtenBytes: writtenBytes())
    }

    private static func writtenBytes() -> UInt64? {
        let descriptor = open("/proc/self/io", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let got = read(descriptor, &bytes, bytes.count)
        guard got > 0 else { return nil }
        let lines = String(decoding: bytes[..<got], as: UTF8.self).split(separator: "\n")
        return lines.first { $0.hasPrefix("wchar: ") }.flatMap { UInt64($0.dropFirst(7)) }
    }
}

/// The error number of the call that has just failed, in words.
func lastError() -> String { String(cString: strerror(errno)) }

/// A number on which threads wait for each other.
final class Gate: Sendable {
    private let number: Monitor<Int>

    init(_ number: Int) { self.number = Monitor(number) }

    /// Adds to the number; wakes whoever waits if it is then 0 or below.
    func add(_ difference: Int) {
        let isOpen = number.withLock { number in
            number += difference
            return number <= 0
        }
        if isOpen { number.broadcast() }
    }

    /// Waits until the number is 0 or below.
    func wait() { number.wait { $0 <= 0 ? () : nil } }
}

/// Runs `body` on `count` threads of its own at once and waits for all of them. Plain threads: what
/// blocks must not run on the cooperative pool.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    final class Start {
        let body: @Sendable (Int) -> Void
        let index: Int
        init(_ body: @escaping @Sendable (Int) -> Void, _ index: Int) {
            self.body = body
            self.index = index
        }
    }
    var threads: [pthread_t] = []
    var failure: Int32 = 0
    for index in 0..<count where failure == 0 {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(body, index))
        failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body(start.index)
                return nil
            }, start.toOpaque())
        if failure == 0 { threads.append(thread) } else { start.release() }
    }
    for thread in threads { pthread_join(thread, nil) }
    if failure != 0 {
        throw BenchError(
            "cannot start \(count) threads: \(String(cString: strerror(failure))); "
                + "measure fewer callers or raise `ulimit -u`")
    }
}

/// A semaphore for one thread that waits. Unchecked: the system keeps it from races.
final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait() { while sem_wait(semaphore) != 0 {} }
}
