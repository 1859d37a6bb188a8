public import WAL

/// What the consumers of one topic have acknowledged: the content of offsets.json.
///
/// A cache of promises already kept: losing the newest version costs redelivery, never a message.
/// Whatever else a file of a later version held is carried along and written again.
public struct Offsets: Hashable, Sendable {
    /// The consumers that a broker may have.
    public private(set) var consumers: [ConsumerID: Acknowledgements] = [:]

    /// Consumers of the file whose names this version would not give out. They are nobody's here,
    /// but what they acknowledged was durable all the same.
    package var foreign: [ForeignConsumer] = []
    /// Members of the file beside `consumers` that this version does not know.
    package var unknownMembers: [JSONMember] = []
    /// Members of consumers' entries that this version does not know.
    package private(set) var unknownEntryMembers: [ConsumerID: [JSONMember]] = [:]

    /// A consumer with a name of any kind.
    package struct ForeignConsumer: Hashable, Sendable {
        /// Any string.
        package var name: String
        /// What it has acknowledged.
        package var acknowledgements: Acknowledgements
        /// Members of its entry that this version does not know.
        package var unknownMembers: [JSONMember]
    }

    /// No consumers.
    public init() {}

    /// What `consumer` has acknowledged; nil if there is no such consumer. Setting nil removes it.
    public subscript(consumer: ConsumerID) -> Acknowledgements? {
        get { consumers[consumer] }
        set {
            consumers[consumer] = newValue
            if newValue == nil { unknownEntryMembers[consumer] = nil }
        }
    }

    /// Acknowledges one id in place, adding the consumer if it is new; false if it was
    /// acknowledged already. 2^64 - 1 is no message's id.
    @discardableResult
    public mutating func acknowledge(_ id: MessageID, by consumer: ConsumerID) -> Bool {
        consumers[consumer, default: Acknowledgements()].acknowledge(id)
    }

    /// Counts ids that are lost or were dropped as acknowledged by every consumer.
    public mutating func acknowledgeForAll(_ ids: ClosedRange<MessageID>) {
        for consumer in consumers.keys {
            consumers[consumer, default: Acknowledgements()].acknowledge(ids)
        }
        for index in foreign.indices { foreign[index].acknowledgements.acknowledge(ids) }
    }

    /// The highest id that anybody acknowledged, which therefore was durable; nil if there is none.
    public var highestAcknowledged: MessageID? {
        let own = consumers.values.lazy.compactMap(\.highest).max()
        let others = foreign.lazy.compactMap(\.acknowledgements.highest).max()
        guard let own, let others else { return own ?? others }
        return max(own, others)
    }

    /// Adds an entry as it was read.
    mutating func add(
        name: String, _ acknowledgements: Acknowledgements, unknown members: [JSONMember]
    ) {
        guard let consumer = try? ConsumerID(name) else {
            foreign.append(
                ForeignConsumer(
                    name: name, acknowledgements: acknowledgements, unknownMembers: members))
            return
        }
        consumers[consumer] = acknowledgements
        if !members.isEmpty { unknownEntryMembers[consumer] = members }
    }

    /// All have been added. A file that lists them in another order means the same.
    mutating func endAdding() { foreign.sort(by: Offsets.isBefore) }

    /// All entries in the order in which they are written: that of the names' bytes.
    var entries: [ForeignConsumer] {
        let own = consumers.map { consumer, acknowledgements in
            ForeignConsumer(
                name: consumer.text, acknowledgements: acknowledgements,
                unknownMembers: unknownEntryMembers[consumer] ?? [])
        }
        return (own + foreign).sorted(by: Offsets.isBefore)
    }

    private static func isBefore(_ a: ForeignConsumer, _ b: ForeignConsumer) -> Bool {
        a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
}
