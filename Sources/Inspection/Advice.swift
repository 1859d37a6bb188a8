internal import DataDirectory
internal import WAL

extension Finding {
    /// What to do about it in the log that the report is on, for people. A repair is not named
    /// where it would refuse, nor opening where that would.
    package func advice(in log: TopicReport) -> String? {
        switch (kind, severity) {
        case (_, .remark): kind == .foreignFile ? Advice.foreign : nil
        case (.unknownField, _): "use the version that wrote it"
        case (.tornTail, _) where log.dialect == .go:
            "toymqctl import takes over what is whole; the end itself is the Go program's to cut"
        case (.offsetsDamaged, _) where log.dialect == .go:
            "toymqctl import takes over the messages; consumers start over"
        case (_, .damage) where log.dialect == .go:
            "\(Advice.copy), toymqctl import takes over what is whole"
        case (_, .damage) where log.isNewer && kind != .offsetsDamaged:
            "\(Advice.copy); \(Advice.newer)"
        case _ where log.isNewer: Advice.newer
        case (.offsetsDamaged, _):
            "toymq-fsck --repair sets it aside; without this file consumers start over"
        case (_, .damage): "\(Advice.copy), toymq-fsck --repair saves it"
        case _ where log.isRefused:
            "toymq-fsck --repair deals with it; the log is damaged, so opening it refuses"
        case _ where !log.isOfALog || isOfOffsets: "toymq-fsck --preen deals with it"
        default: "opening the log deals with it, and so does toymq-fsck --preen"
        }
    }

    /// Opening a log looks at its segments only.
    private var isOfOffsets: Bool { segment.hasPrefix(DataLayout.offsetsName) }
}

/// What more than one finding is answered with.
private enum Advice {
    static let foreign = "nothing here uses it; move it away if it is not yours"
    static let copy =
        "copy the directory before anything else; toymq-dump prints what is left"
    static let newer =
        "a later version wrote to this log, so nothing here changes a file of it: use that version"
}
