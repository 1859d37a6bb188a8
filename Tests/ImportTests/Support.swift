import DataDirectory
import Foundation
import GoImport
import SystemPackage
import TestSupport
import WAL

extension TemporaryDirectory {
    /// DATA, which nobody has made yet.
    var data: DataLayout { DataLayout(path.appending("data")) }

    func names(in directory: FilePath) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory.string)) ?? []).sorted()
    }
}

/// Frames of the Go program, made by hand from the contract and not by the code under test.
enum Go {
    static func frame(
        _ id: UInt64, key: String = "", payload: [UInt8] = [], visibleAt: UInt64? = nil
    ) -> [UInt8] {
        var body = little(id) + little(timestamp(id))
        body += little(UInt16(key.utf8.count)) + Array(key.utf8)
        body += little(UInt32(payload.count)) + payload
        if let visibleAt { body += little(visibleAt) }
        return little(UInt32(body.count + 4)) + body + little(CRC32.of(RawSpan(of: body)))
    }

    static func frames(_ ids: some Sequence<UInt64>) -> [UInt8] {
        ids.flatMap { frame($0, key: $0 % 2 == 0 ? "k\($0)" : "", payload: payload($0)) }
    }

    static func timestamp(_ id: UInt64) -> UInt64 { 1_700_000_000_000_000_000 &+ id }
    static func payload(_ id: UInt64) -> [UInt8] { Array("message \(id)".utf8) }

    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    /// A message of an intact log, taken apart without the code under test.
    struct Message: Hashable {
        var id: UInt64
        var timestamp: UInt64
        var key: [UInt8]
        var payload: [UInt8]
        var visibleAt: UInt64?
    }

    static func messages(_ folder: FilePath) throws -> [Message] {
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.string)
        var messages: [Message] = []
        for name in files.sorted() where name.hasSuffix(".log") {
            let bytes = try TestSupport.bytes(of: folder.appending(name))
            var offset = 0
            func take<T: FixedWidthInteger>(_: T.Type) -> T {
                defer { offset += T.bitWidth / 8 }
                return (0..<T.bitWidth / 8).reduce(0) { $0 | T(bytes[offset + $1]) << T($1 * 8) }
            }
            while offset < bytes.count {
                let end = offset + 4 + Int(take(UInt32.self))
                let (id, timestamp) = (take(UInt64.self), take(UInt64.self))
                let keyBytes = Int(take(UInt16.self))
                let key = Array(bytes[offset..<offset + keyBytes])
                offset += keyBytes
                let payloadBytes = Int(take(UInt32.self))
                let payload = Array(bytes[offset..<offset + payloadBytes])
                offset += payloadBytes
                let visibleAt: UInt64? = end - offset == 12 ? take(UInt64.self) : nil
                messages.append(
                    Message(
                        id: id, timestamp: timestamp, key: key, payload: payload,
                        visibleAt: visibleAt))
                offset = end
            }
        }
        return messages
    }
}

/// The samples of the repository.
enum Fixtures {
    static func path(_ relative: String, file: String = #filePath) -> FilePath {
        var path = FilePath(file)
        for _ in 0..<3 { path.removeLastComponent() }
        return path.appending("Fixtures").appending("go").pushing(FilePath(relative))
    }

    static func manifest(_ sample: String) throws -> JSONValue {
        let bytes = try bytes(of: path(sample).appending("manifest.json"))
        return try JSONValue(parsing: RawSpan(of: bytes))
    }
}

/// A message of a native log.
struct Stored: Hashable {
    var id: UInt64
    var key: [UInt8]?
    var payload: [UInt8]
    var headers: [MessageHeader]

    func header(_ name: String) -> String? {
        headers.first { $0.name == Array(name.utf8) }
            .map { String(decoding: $0.value, as: UTF8.self) }
    }
}

/// Opens a topic as a broker would, with what was acknowledged as evidence; reads all of it.
struct OpenedTopic {
    let messages: [Stored]
    let recovery: RecoveryReport
    let offsets: Offsets?

    /// `appending` more messages shows that the log goes on.
    init(_ name: String, in layout: DataLayout, appending count: Int = 0) throws {
        let topic = try TopicName(name)
        offsets = try OffsetsFile(layout.offsetsFile(of: topic)).load()
        let host = LogHost()
        defer { host.shutdown() }
        var options = LogOptions()
        options.createsDirectory = false
        options.knownDurable = offsets?.highestAcknowledged
        let log = try Log.open(layout.directory(of: topic), host: host, options: options)
        recovery = log.recovery
        for _ in 0..<count {
            let payload = Array("appended".utf8)
            _ = try log.appendBlocking(Message(payload: payload.span.bytes))
        }
        messages = try log.everything()
        try log.close()
    }
}

extension Log {
    func everything() throws(LogError) -> [Stored] {
        var reader = reader(from: MessageID(0))
        var all: [Stored] = []
        var count = 0
        repeat {
            count = try reader.read(upTo: 1000) { message in
                all.append(
                    Stored(
                        id: message.id.rawValue, key: message.hasKey ? message.key.copied() : nil,
                        payload: message.payload.copied(), headers: message.headers))
                return .next
            }
        } while count > 0
        return all
    }
}
