package import SystemPackage

/// The names of the files in a log's directory.
package enum SegmentName: Hashable, Sendable {
    /// `segment.log`, the one that is appended to.
    case active
    /// `<first id, 20 digits>.log`
    case sealed(first: UInt64)

    package static let activeName = "segment.log"

    /// The segment that a file name stands for; nil for any other file.
    package init?(_ name: String) {
        if name == SegmentName.activeName {
            self = .active
            return
        }
        guard name.utf8.count == 24, name.hasSuffix(".log") else { return nil }
        let digits = name.dropLast(4)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let first = UInt64(digits)
        else { return nil }
        self = .sealed(first: first)
    }

    package var fileName: String {
        switch self {
        case .active: return SegmentName.activeName
        case .sealed(let first):
            let digits = String(first)
            return String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".log"
        }
    }

    package func path(in directory: FilePath) -> FilePath { directory.appending(fileName) }

    /// What else a log leaves in its directory.
    package enum Companion: Hashable, Sendable {
        /// A torn tail that opening set aside: `segment.log.torn-<position>` and `.2`, `.3` …
        case keptTail
        /// A temporary file of a segment or a kept tail: its name with `.tmp` behind.
        case temporary
    }

    /// The companion that a file name stands for; nil for any other file.
    package static func companion(_ name: String) -> Companion? {
        if name.hasSuffix(".tmp") {
            let replaced = String(name.dropLast(4))
            let isOurs = SegmentName(replaced) != nil || companion(replaced) == .keptTail
            return isOurs ? .temporary : nil
        }
        let prefix = activeName + ".torn-"
        guard name.hasPrefix(prefix) else { return nil }
        let parts = name.dropFirst(prefix.count).split(
            separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { UInt64(canonical: $0) }
        guard numbers.count == parts.count, (1...2).contains(numbers.count) else { return nil }
        // The first one has no number, the next ones begin with 2.
        if numbers.count == 2, numbers[1] < 2 { return nil }
        return .keptTail
    }
}

extension UInt64 {
    /// The number that `text` is, written as we write one: digits, no sign, no zeros in front. What
    /// is written in another way is no name of ours, and the file not ours to remove.
    package init?(canonical text: some StringProtocol) {
        guard let number = UInt64(text), String(number) == text else { return nil }
        self = number
    }
}

/// The segments of a directory, oldest first; the active one, if there, is last.
package struct SegmentListing: Hashable, Sendable {
    package var sealed: [UInt64] = []
    package var hasActive = false
    package var companions: [String: SegmentName.Companion] = [:]
    /// Names that belong to no log.
    package var others: [DirectoryEntry] = []

    package init() {}

    package init(_ entries: [DirectoryEntry]) {
        for entry in entries {
            let name = entry.name.string
            switch SegmentName(name) {
            // Whatever it is: opening it says so if it is no file, and no verdict is given on a log
            // as if it were not there.
            case .active: hasActive = true
            case .sealed(let first): sealed.append(first)
            case nil:
                if let companion = SegmentName.companion(name), entry.kind == .file {
                    companions[name] = companion
                } else {
                    others.append(entry)
                }
            }
        }
        sealed.sort()
        others.sort { $0.name.string < $1.name.string }
    }

    package var names: [SegmentName] {
        sealed.map { .sealed(first: $0) } + (hasActive ? [.active] : [])
    }
}
