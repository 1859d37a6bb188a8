public import DataDirectory
public import SystemPackage
public import WAL

/// What an import did.
public struct ImportReport: Hashable, Sendable {
    /// One topic that was taken over.
    public struct Topic: Hashable, Sendable {
        /// The folder it came from.
        public let source: FilePath
        /// Its name now.
        public let name: TopicName
        /// How many messages it has.
        public let messages: UInt64
        /// Its ids; empty if there is no message.
        public let ids: Range<MessageID>
        /// Ids in `ids` that have no message: it was gone already, or did not fit.
        public let lost: [ClosedRange<MessageID>]
        /// The consumers whose positions were taken over.
        public let consumers: [ConsumerID]
    }

    /// The topics that were taken over, in order.
    public internal(set) var topics: [Topic] = []
    /// What was not taken over, and what is wrong with the Go log.
    public internal(set) var issues: [ImportIssue] = []

    /// Whether everything was taken over and nothing worse than a remark was found.
    public var isComplete: Bool { issues.allSatisfy(\.isRemark) }
}

/// Something that an import has to tell: not taken over, or wrong with what was imported.
public struct ImportIssue: Hashable, Sendable, CustomStringConvertible {
    /// What kind of thing.
    public enum Kind: Hashable, Sendable {
        /// A name that no topic of ours may have; the topic was not taken over.
        case name
        /// A folder among the topics that is none.
        case foreign
        /// A file in a topic that does not belong there.
        case foreignFile
        /// meta.json and the partitions that are there do not agree.
        case partition
        /// A message that does not fit; a `lost` frame stands for it.
        case message
        /// A message that was not to be delivered yet; it is delivered at once now.
        case delay
        /// offsets.json cannot be read; no position was taken over.
        case offsets
        /// A consumer that was not taken over, since its name may not be one.
        case consumer
        /// Acknowledged ids beyond the end of the log.
        case acknowledged
        /// An import was interrupted and is finished now; what it had to tell nobody has read, or
        /// a topic of it has no name, since another one has that.
        case interrupted
        /// A finding about the Go log, by its name in toymq-fsck.
        case finding(String, isRemark: Bool)

        /// A word for programs.
        public var name: String {
            switch self {
            case .name: "name"
            case .foreign: "foreign"
            case .foreignFile: "foreign-file"
            case .partition: "partition"
            case .message: "message"
            case .delay: "delay"
            case .offsets: "offsets"
            case .consumer: "consumer"
            case .acknowledged: "acknowledged"
            case .interrupted: "interrupted"
            case .finding(let name, _): name
            }
        }
    }

    /// What kind of thing.
    public let kind: Kind
    /// The file or folder.
    public let path: FilePath
    /// Where in the file, in bytes, if it is at one place.
    public let offset: UInt64?
    /// The ids that it is about, if they can be told.
    public let ids: [ClosedRange<MessageID>]
    /// What is the matter, for people.
    public let text: String

    init(
        _ kind: Kind, path: FilePath, offset: UInt64? = nil, ids: [ClosedRange<MessageID>] = [],
        text: String
    ) {
        self.kind = kind
        self.path = path
        self.offset = offset
        self.ids = ids
        self.text = text
    }

    /// Whether it leaves nothing behind and nothing undone.
    public var isRemark: Bool {
        switch kind {
        case .foreignFile: true
        case .finding(_, let isRemark): isRemark
        default: false
        }
    }

    /// One line for people.
    public var description: String {
        "\(path)\(offset.map { " at offset \($0)" } ?? ""): \(kind.name): \(text)"
    }
}

extension ImportIssue {
    /// Somebody has made a topic of that name since the import was interrupted.
    static func taken(_ name: TopicName, in layout: DataLayout) -> ImportIssue {
        ImportIssue(
            .interrupted, path: Publication.workDirectory(name, in: layout),
            text: "the topic \(name) of an import that was interrupted; one of that name has been "
                + "made since. Import it again under another name with --topic, and remove this")
    }

    /// Its issues went with the process that was to tell them.
    static func interrupted(_ source: FilePath) -> ImportIssue {
        ImportIssue(
            .interrupted, path: source,
            text: "the import that was interrupted did not take over everything; what is missing, "
                + "an import into an empty DATA tells")
    }
}

/// How far an import has come.
public struct ImportProgress: Hashable, Sendable {
    /// The topic that is being made.
    public let topic: TopicName
    /// Bytes of the Go logs that are done.
    public let bytes: UInt64
    /// All of them.
    public let totalBytes: UInt64
}

/// Why nothing was imported.
public enum ImportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no log of the Go program at the path.
    case nothingToImport(FilePath, isFile: Bool)
    /// A name was given, but there are several topics.
    case severalTopics(FilePath, count: Int)
    /// The topic is there already.
    case exists(TopicName, FilePath)
    /// One of the two directories, the Go program's and DATA, is or lies in the other.
    case overlap(FilePath, FilePath)
    /// DATA is in use, or its lock cannot be taken.
    case lock(DataLockError)
    /// A system call failed.
    case io(DiskError)
    /// A system call failed while the topics got their names, and so did taking that back: these
    /// have theirs. The next import into DATA goes on from there.
    case unfinished([TopicName], DiskError)
    /// The new log could not be made.
    case open(OpenError)
    /// The new log could not be written.
    case write(FilePath, LogError)
    /// The new offsets.json could not be written.
    case offsets(OffsetsFileError)

    /// One line for people that says what to do.
    public var description: String {
        switch self {
        case .nothingToImport(let path, isFile: true):
            "\(path) is a file; give the folder that it is in"
        case .nothingToImport(let path, isFile: false):
            "\(path) holds no topic of the Go program: neither 000000.log and so on, nor folders "
                + "of partitions, nor topics/ with any of that"
        case .severalTopics(let path, let count):
            "\(path) holds \(count) topics and --topic names one; give the folder of that topic"
        case .exists(let name, let path):
            "the topic \(name) exists already in \(path); nothing was imported. Give another name "
                + "with --topic, or another DATA"
        case .overlap(let source, let data):
            "\(source) and \(data) lie one in the other: the topic would be made among the files of "
                + "the Go program; nothing was imported. Give another DATA"
        case .lock(let error): "\(error)"
        case .io(let error): "\(error)"
        case .unfinished(let topics, let error):
            "\(error); the import is not finished: of its topics, "
                + (topics.isEmpty ? "none" : topics.map(\.text).joined(separator: ", "))
                + " are in DATA. Run it again when that is mended: it goes on from there"
        case .open(let error): "\(error)"
        case .write(let path, let error): "cannot write \(path): \(error)"
        case .offsets(let error): "\(error)"
        }
    }
}
