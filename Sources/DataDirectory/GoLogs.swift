public import SystemPackage
internal import WAL

/// The names of the Go program's segments.
package enum GoSegmentName {
    /// The number in a name as `%06d.log` makes it: six digits, or more without zeros in front.
    /// A native sealed segment has 20, which no number here will ever have.
    package static func number(_ name: String) -> UInt64? {
        guard name.hasSuffix(".log") else { return nil }
        let digits = name.dropLast(4).utf8
        guard (6...19).contains(digits.count),
            digits.count == 6 || digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return UInt64(String(name.dropLast(4)))
    }
}

/// A topic's directory that the Go program has written.
public struct GoLogError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The directory.
    public let directory: FilePath

    /// One line for people that says what to do.
    public var description: String {
        "\(directory) is a log of the Go program; import it into another data directory: "
            + "`toymqctl import \(directory) DATA`"
    }
}

extension DataLayout {
    /// Throws `GoLogError` if the directory of `topic` holds a log of the Go program of the same
    /// name, or partitions of one, and no segment of ours: opened as one of ours it would look
    /// empty, and be written into. Throws a `DiskError` if it cannot be listed. Blocks.
    public func refuseGoLog(of topic: TopicName) throws {
        let directory = directory(of: topic)
        if try holdsGoLog(directory) { throw GoLogError(directory: directory) }
    }

    private func holdsGoLog(_ directory: FilePath) throws(DiskError) -> Bool {
        let entries = try storage.disk.list(directory)
        guard SegmentListing(entries).names.isEmpty else { return false }
        func isSegment(_ entry: DirectoryEntry) -> Bool {
            entry.kind == .file && GoSegmentName.number(entry.name.string) != nil
        }
        if entries.contains(where: isSegment) { return true }
        for entry in entries where entry.kind == .directory {
            // The folder of a partition. What is in another one, no import would find.
            guard UInt64(canonical: entry.name.string) != nil else { continue }
            if try storage.disk.list(directory.appending(entry.name)).contains(where: isSegment) {
                return true
            }
        }
        return false
    }
}
