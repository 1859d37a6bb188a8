import Foundation
import Glibc

/// A client that sends bytes and reads lines: nothing that it does is checked for it.
/// Unchecked: one thread sends, one reads.
final class RawClient: @unchecked Sendable {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var start = 0

    enum Failure: Error {
        case cannotConnect(Int32)
        /// The broker has closed the connection, or it was reset.
        case closed
        case timedOut
        case notAMessage(String)
    }

    /// - Parameter receiveBytes: how much the kernel keeps for this client; nil for its own choice.
    init(port: Int, receiveBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBytes {
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw Failure.cannotConnect(code)
        }
    }

    deinit { if isOpen { Glibc.close(descriptor) } }
    private var isOpen = true

    func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    /// Closes the sending side.
    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { throw Failure.closed }
            rest = rest.dropFirst(count)
        }
    }

    /// Reads more; false at the end of the stream.
    private func fill(_ seconds: Double) throws -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Int32(seconds * 1000)) > 0 else { throw Failure.timedOut }
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count <= 0 { return false }
        buffer += chunk[..<count]
        return true
    }

    /// The next line without its end.
    func line(_ seconds: Double = 20) throws -> String {
        while true {
            if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return String(decoding: buffer[start..<end], as: UTF8.self)
            }
            guard try fill(seconds) else { throw Failure.closed }
        }
    }

    func lines(_ count: Int) throws -> [String] { try (0..<count).map { _ in try line() } }

    struct Message: Equatable {
        let id: UInt64
        let payload: String
        var options: [String] = []
    }

    func message(_ seconds: Double = 20) throws -> Message {
        let line = try line(seconds)
        let fields = line.split(separator: " ").map(String.init)
        guard fields.count >= 4, fields[0] == "MSG", let id = UInt64(fields[2]),
            let count = Int(fields[3])
        else { throw Failure.notAMessage(line) }
        while buffer.count - start < count + 1 {
            guard try fill(seconds) else { throw Failure.closed }
        }
        let payload = buffer[start..<start + count]
        guard buffer[start + count] == UInt8(ascii: "\n") else { throw Failure.notAMessage(line) }
        start += count + 1
        return Message(
            id: id, payload: String(decoding: payload, as: UTF8.self),
            options: Array(fields[4...]))
    }

    /// The next message; answers to acknowledgements before it are passed over.
    func nextMessage() throws -> Message {
        while true {
            do { return try message() } catch Failure.notAMessage(let line) {
                guard line.hasPrefix("OK ") else { throw Failure.notAMessage(line) }
            }
        }
    }

    /// Whether the broker closes the connection without another byte.
    func isClosed(_ seconds: Double = 20) throws -> Bool {
        if buffer.count > start { return false }
        return try !fill(seconds)
    }

    /// Reads that many bytes, and no line.
    func bytes(_ count: Int) throws -> [UInt8] {
        while buffer.count - start < count {
            guard try fill(20) else { throw Failure.closed }
        }
        defer { start += count }
        return Array(buffer[start..<start + count])
    }

    /// Whether nothing comes: an answer to PING is the next thing.
    func isQuiet() throws -> Bool {
        try send("PING\n")
        return try line() == "PONG"
    }

    func command(_ text: String) throws -> String {
        try send(text + "\n")
        return try line()
    }

    /// A counter of INFO.
    func count(_ name: String) throws -> Int {
        let info = try command("INFO")
        let value = info.components(separatedBy: "\"\(name)\": ").dropFirst().first
        guard let number = Int(value?.prefix { $0.isNumber } ?? "") else {
            throw Failure.notAMessage(info)
        }
        return number
    }

    func publish(_ topic: String, _ payload: String, key: String = "-") throws -> String {
        try command("PUB \(topic) \(key) \(payload.utf8.count)\n\(payload)")
    }
}
