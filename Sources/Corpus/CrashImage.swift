internal import Inspection
internal import WAL

/// A data directory with one topic, and what it has to give.
package struct CrashImage: Sendable {
    /// A row of the verdict table, a finding, or what was done: one of `ImageKinds.all`.
    package let kind: String
    /// Path below the data directory, and bytes.
    package let files: [(path: String, bytes: [UInt8])]
    package let expectation: Expectation
    /// Whether the Go program's format is meant.
    package let isGo: Bool

    /// The name of the topic.
    package static let topic = "t"
    private static let folder = "topics/t/"

    /// An image of a log of ours, `others` standing beside its segments.
    init(
        _ kind: String, _ image: LogImage, others: [(name: String, bytes: [UInt8])] = [],
        expecting expectation: Expectation? = nil
    ) {
        self.kind = kind
        isGo = false
        files =
            image.segments.map { (CrashImage.folder + $0.name.fileName, $0.bytes) }
            + others.map { (CrashImage.folder + $0.name, $0.bytes) }
        self.expectation = expectation ?? image.expectation
    }

    /// An image of a log of the Go program.
    init(
        _ kind: String, go files: [(name: String, bytes: [UInt8])],
        expecting expectation: Expectation
    ) {
        self.kind = kind
        isGo = true
        self.files = files.map { (CrashImage.folder + $0.name, $0.bytes) }
        self.expectation = expectation
    }
}
