import Foundation
import Glibc
import Testing
import Threads
import ToyMQClient

/// A broker that says what the test wants: `script` has each connection in turn, on a thread. What
/// a script waits for besides its connection it waits for with a deadline: its thread is joined.
final class FakeBroker: Sendable {
    let port: Int
    private let listener: Int32
    private let accepting: OwnedThread
    private let shared = Shared()

    private final class Shared: Sendable {
        struct State {
            var connections = 0
            var open: Set<Int32> = []
            var threads: [OwnedThread] = []
            var isOver = false
        }
        let state = Monitor(State())

        /// The number of a connection that has come; nil if it is one too late.
        func add(_ descriptor: Int32) -> Int? {
            state.withLock { state in
                guard !state.isOver else { return nil }
                state.open.insert(descriptor)
                state.connections += 1
                return state.connections - 1
            }
        }

        /// Closed with the lock: else its number may be another's when all that are open are ended.
        func close(_ descriptor: Int32) {
            state.withLock { state in
                state.open.remove(descriptor)
                _ = Glibc.close(descriptor)
            }
        }

        /// Scripts that read come to the end of what there is to be read.
        func end() {
            state.withLock { state in
                state.isOver = true
                for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
            }
        }
    }

    /// How many connections there were.
    var connections: Int { shared.state.withLock { $0.connections } }

    /// One connection, blocking.
    struct Peer {
        fileprivate let descriptor: Int32

        /// What has come, or "" at the end.
        func read() -> String {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : ""
        }

        /// Reads until `text` has come; nil if it does not.
        @discardableResult func read(until text: String) -> String? {
            var all = ""
            while !all.contains(text) {
                let more = read()
                if more.isEmpty { return nil }
                all += more
            }
            return all
        }

        func say(_ text: String) {
            let bytes = Array(text.utf8)
            _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }

        func greet() {
            read(until: "HELLO 2\n")
            say("HELLO 2 OK\n")
        }

        /// Greets, and gives this answer to a request that ends so, which is a message "x".
        func serve(_ answer: String?, to request: String = "x\n") {
            greet()
            read(until: request)
            if let answer { say(answer) }
        }

        /// Until there is something to be read, which is left there.
        func waitForMore() {
            var byte: UInt8 = 0
            _ = recv(descriptor, &byte, 1, Int32(MSG_PEEK))
        }

        /// Until the client has gone.
        func drain() { while !read().isEmpty {} }
    }

    /// One connection after the other has its turn, or all at once.
    init(
        concurrent: Bool = false, _ script: @escaping @Sendable (Peer, _ number: Int) -> Void
    ) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, shared) = (listener, shared)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        accepting = OwnedThread {
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                guard let number = shared.add(descriptor) else {
                    _ = Glibc.close(descriptor)
                    return
                }
                let serve: @Sendable () -> Void = {
                    script(Peer(descriptor: descriptor), number)
                    shared.close(descriptor)
                }
                guard concurrent else {
                    serve()
                    continue
                }
                let thread = OwnedThread(serve)
                shared.state.withLock { $0.threads.append(thread) }
            }
        }
    }

    deinit {
        shared.end()
        shutdown(listener, Int32(SHUT_RDWR))
        accepting.join()
        for thread in shared.state.withLock({ $0.threads }) { thread.join() }
        close(listener)
    }

    var options: ClientOptions {
        var options = ClientOptions(port: port)
        // A test that waits for its turn on a busy machine is no broker that is gone.
        options.keepAlive = .seconds(600)
        options.connectTimeout = .seconds(60)
        options.reconnect.firstPause = .milliseconds(5)
        options.reconnect.longestPause = .milliseconds(20)
        return options
    }
}

/// That "x" is stored under this number.
func expectStored(
    as id: UInt64, _ options: ClientOptions, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    try await ToyMQClient.with(options) { client in
        let receipt = try await client.publish(Message("x"), to: "t")
        #expect(receipt.id == id, sourceLocation: sourceLocation)
    }
}

/// That a client that tries so many times each gives up so many messages as unreachable.
func expectUnreachable(
    _ options: ClientOptions, attempts: Int, messages: Int = 1,
    sourceLocation: SourceLocation = #_sourceLocation
) async {
    var options = options
    options.reconnect.attempts = attempts
    let client = ToyMQClient(options)
    for _ in 0..<messages {
        await #expect(sourceLocation: sourceLocation) {
            try await client.publish(Message("x"), to: "t")
        } throws: { error in
            if case .unreachable? = error as? ClientError { true } else { false }
        }
    }
    await client.close()
}

/// Something listens there, and takes no further connection: what connects gets no answer.
final class FullListener: Sendable {
    let port: Int
    private let descriptors: [Int32]

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var all = [listener]
        let isFull = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard bind(listener, address, length) == 0, listen(listener, 0) == 0,
                    getsockname(listener, address, &length) == 0
                else { return false }
                for _ in 0..<4 {
                    let one = socket(
                        AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
                    all.append(one)
                    _ = connect(one, address, length)
                }
                return true
            }
        }
        descriptors = all
        guard isFull else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
