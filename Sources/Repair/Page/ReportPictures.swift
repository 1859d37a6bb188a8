package import Inspection
internal import SystemPackage
package import WAL

/// The bytes around what was found, for the page: read before anything is changed.
package struct ReportPictures: Sendable {
    /// Where a finding is.
    struct Place: Hashable, Sendable {
        var topic: String
        var file: String
        var offset: UInt64
    }

    /// Some bytes of a file.
    struct Excerpt: Sendable {
        var start: UInt64
        var bytes: [UInt8]
    }

    private(set) var excerpts: [Place: Excerpt] = [:]

    /// So many findings of a topic are shown with their bytes, the first ones.
    static let excerptLimit = 64
    /// Bytes shown before a finding and from it on: whole rows.
    private static let rowBytes: UInt64 = 16
    private static let before: UInt64 = 32
    private static let behind: UInt64 = 64

    package init() {}

    /// Inspects all of `target` and reads what is around each finding. What cannot be read is left
    /// out.
    package init(of target: Target, on storage: Storage) {
        let report = Inspection.run(target, on: storage)
        for (topic, found) in zip(target.topics, report.topics) {
            let findings = found.findings.filter { $0.severity > .remark }
            for finding in findings.prefix(ReportPictures.excerptLimit) {
                let path = topic.directory.appending(finding.segment)
                guard let excerpt = ReportPictures.excerpt(path, finding, storage.disk) else {
                    continue
                }
                let place = Place(
                    topic: found.topic, file: finding.segment, offset: finding.offset)
                excerpts[place] = excerpt
            }
        }
    }

    private static func excerpt(
        _ path: FilePath, _ finding: Finding, _ disk: any Disk
    ) -> Excerpt? {
        guard let file = try? disk.open(path, .read) else { return nil }
        defer { file.close() }
        let row = finding.offset / rowBytes * rowBytes
        let start = row > before ? row - before : 0
        let end = row + behind
        var buffer = ByteBuffer()
        guard
            let got = try? file.readFully(at: start, count: Int(end - start), into: &buffer),
            got > 0
        else { return nil }
        return Excerpt(start: start, bytes: buffer.bytes.copied())
    }
}
