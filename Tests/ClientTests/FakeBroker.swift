import Foundation
import Glibc
import Synchronization
import Testing
import ToyMQClient

/// A broker that says what the test wants: `script` has each connection in turn, on a thread.
final class FakeBroker: Sendable {
    let port: Int
    private let listener: Int32
    private let accepted = Shared()

    private final class Shared: Sendable {
        let count = Atomic(0)
    }

    /// How many connections there were.
    var connections: Int { accepted.count.load(ordering: .relaxed) }

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
        let (listener, accepted) = (listener, accepted)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread {
            var number = 0
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                let connection = number
                number += 1
                accepted.count.store(number, ordering: .relaxed)
                let serve: @Sendable () -> Void = {
                    script(Peer(descriptor: descriptor), connection)
                    close(descriptor)
                }
                if concurrent { Thread(block: serve).start() } else { serve() }
            }
        }.start()
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
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
