package import DataDirectory
package import SystemPackage
package import WAL

/// What a consumer of the Go program has acknowledged.
package struct GoConsumer: Hashable, Sendable {
    /// Any string.
    package var name: String
    /// The highest id such that it and all before it are acknowledged; nil if id 0 is not.
    package var acked: UInt64?
    /// Ids acknowledged beyond it, in the order of the file.
    package var above: [UInt64]

    /// One consumer.
    package init(name: String, acked: UInt64?, above: [UInt64]) {
        self.name = name
        self.acked = acked
        self.above = above
    }

    /// The same as a set of ids.
    package var acknowledgements: Acknowledgements {
        var acknowledgements = Acknowledgements()
        if let acked { acknowledgements.acknowledge(MessageID(0)...MessageID(acked)) }
        for id in above { acknowledgements.acknowledge(MessageID(id)) }
        return acknowledgements
    }
}

/// Why the offsets of a Go topic were not read.
package enum GoOffsetsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A system call failed: it says nothing about the file.
    case io(DiskError)
    /// It has more bytes than such a file may have; they were not read.
    case tooLarge(path: FilePath, bytes: UInt64)
    /// It is not what the Go program writes.
    case damaged(path: FilePath, JSONError)

    /// One line for people.
    package var description: String {
        switch self {
        case .io(let error): error.description
        case .tooLarge(let path, let bytes):
            "\(path) has \(bytes) bytes, at most \(GoOffsets.byteLimit) are read"
        case .damaged(let path, let error): "\(path) is damaged: \(error)"
        }
    }
}

/// offsets.json of the Go program: no checksum, members as below.
///
///     {"consumers": {"c": {"has_acked": true, "last_acked": 2, "above_last": [5, 6]}}}
package enum GoOffsets {
    /// Larger files are not read, in bytes.
    package static let byteLimit = 64 << 20

    /// The consumers in the order of the file. Unknown members are passed over.
    package static func parse(_ bytes: RawSpan) throws(JSONError) -> [GoConsumer] {
        var consumers: [GoConsumer]?
        var reader = try JSONReader(bytes)
        try reader.beginObject()
        while let name = try reader.nextMember() {
            if name == "consumers" {
                consumers = try parseConsumers(&reader)
            } else {
                _ = try reader.value()
            }
        }
        try reader.end()
        guard let consumers else {
            throw JSONError(offset: 0, reason: .meaning("no consumers"))
        }
        return consumers
    }

    /// The consumers in the file at `path`; nil if there is none. Blocks.
    package static func load(
        _ path: FilePath, on storage: Storage = .local
    ) throws(GoOffsetsError) -> [GoConsumer]? {
        var bytes = ByteBuffer()
        let size: UInt64
        do throws(DiskError) {
            let file = try storage.disk.open(path, .read)
            defer { file.close() }
            size = try file.status().size
            if size <= UInt64(byteLimit) {
                _ = try file.readFully(at: 0, count: Int(size), into: &bytes)
            }
        } catch {
            if error.operation == .open, error.errno == .noSuchFileOrDirectory { return nil }
            throw .io(error)
        }
        guard size <= UInt64(byteLimit) else { throw .tooLarge(path: path, bytes: size) }
        do {
            return try parse(bytes.bytes)
        } catch {
            throw .damaged(path: path, error)
        }
    }

    private static func parseConsumers(
        _ reader: inout JSONReader
    ) throws(JSONError) -> [GoConsumer] {
        var consumers: [GoConsumer] = []
        try reader.beginObject()
        while let name = try reader.nextMember() {
            let start = reader.itemOffset
            var hasAcked: Bool?
            var lastAcked: UInt64?
            var above: [UInt64]?
            try reader.beginObject()
            while let member = try reader.nextMember() {
                switch member {
                case "has_acked": hasAcked = try reader.bool()
                case "last_acked": lastAcked = try messageID(&reader)
                case "above_last": above = try ids(&reader)
                default: _ = try reader.value()
                }
            }
            guard let hasAcked, let lastAcked, let above else {
                throw JSONError(offset: start, reason: .meaning("a consumer that is not whole"))
            }
            // Where it says that nothing is acknowledged, the id beside it is a filler.
            consumers.append(
                GoConsumer(name: name, acked: hasAcked ? lastAcked : nil, above: above))
        }
        return consumers
    }

    /// The Go program writes a list that it never made as null.
    private static func ids(_ reader: inout JSONReader) throws(JSONError) -> [UInt64] {
        if reader.null() { return [] }
        var ids: [UInt64] = []
        try reader.beginArray()
        while try reader.nextElement() { ids.append(try messageID(&reader)) }
        return ids
    }

    private static func messageID(_ reader: inout JSONReader) throws(JSONError) -> UInt64 {
        let start = reader.offset
        let id = try reader.integer()
        guard id < .max else {
            throw JSONError(offset: start, reason: .meaning("2^64 - 1 is no message's id"))
        }
        return id
    }
}
