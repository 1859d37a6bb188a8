import JSONText

/// What `toymq-bench wal` prints.
struct WalReport {
    let results: [WalResult]
    let seconds: Double
    let repetitions: Int

    /// The part of the raw limit that the log is to reach, with how many messages in a commit.
    struct Goal {
        let callers: Int
        let payloadBytes: Int
        let ratio: Double
        let messagesPerCommit: Double?

        static let all = [
            Goal(callers: 1, payloadBytes: 256, ratio: 0.85, messagesPerCommit: nil),
            Goal(callers: 64, payloadBytes: 256, ratio: 0.85, messagesPerCommit: 30),
        ]

        func isFor(_ wal: WalCase) -> Bool {
            wal.callers == callers && wal.payloadBytes == payloadBytes
        }

        func isReached(by result: WalResult) -> Bool {
            result.spread(\.ratio).median >= ratio
                && result.spread(\.messagesPerCommit).median >= messagesPerCommit ?? 0
        }
    }

    private var goals: [(Goal, WalResult)] {
        Goal.all.flatMap { goal in
            results.filter { goal.isFor($0.wal) }.map { (goal, $0) }
        }
    }

    // MARK: Text

    var text: String {
        let heads = [
            "callers", "style", "bytes", "msg/s", "commits/s", "msg/commit", "p50", "p90", "p99",
            "p99.9", "max", "CPU/msg", "written/msg", "raw msg/s", "raw p50", "ratio", "from-to",
        ]
        let intro = """
            Medians of \(repetitions) slices of \(fixed(seconds, digits: 2)) s, each followed by \
            one of the raw limit: one write and one fdatasync a commit, as large as the log's.
            Latency and CPU in µs, bytes written in bytes; ratio is msg/s by raw msg/s.
            """
        return ([intro, "", table([heads] + results.map(row)), ""] + goals.map(line) + notes)
            .joined(separator: "\n")
    }

    /// Faster than any disk can force anything: the figures say nothing then.
    private static let implausibleNanoseconds: UInt64 = 15_000

    private var notes: [String] {
        let isImplausible = results.contains {
            $0.rawLatency.percentile(0.5) ?? .max < WalReport.implausibleNanoseconds
        }
        guard isImplausible else { return [] }
        return ["note: fdatasync returns at once here (a file system in memory?); see --dir"]
    }

    private func row(_ result: WalResult) -> [String] {
        let ratio = result.spread(\.ratio)
        let written = result.pairs.allSatisfy { $0.writtenBytes != nil }
        return [
            String(result.wal.callers), result.wal.style.rawValue,
            String(result.wal.payloadBytes),
            fixed(result.spread(\.messagesPerSecond).median, digits: 0),
            fixed(result.spread { Double($0.commits) / $0.seconds }.median, digits: 0),
            fixed(result.spread(\.messagesPerCommit).median, digits: 1),
        ] + WalReport.shares.map { microseconds(result.latency.percentile($0.share)) } + [
            microseconds(result.latency.longest),
            fixed(result.spread(cpuPerMessage).median, digits: 2),
            written ? fixed(result.spread(writtenPerMessage).median, digits: 0) : "-",
            fixed(result.spread(\.rawMessagesPerSecond).median, digits: 0),
            microseconds(result.rawLatency.percentile(0.5)),
            fixed(ratio.median, digits: 2),
            "\(fixed(ratio.least, digits: 2))-\(fixed(ratio.most, digits: 2))",
        ]
    }

    private func line(_ goal: Goal, _ result: WalResult) -> String {
        var wanted = "\(fixed(goal.ratio, digits: 2)) of the raw limit"
        var got = fixed(result.spread(\.ratio).median, digits: 2)
        if let messages = goal.messagesPerCommit {
            wanted += " with \(fixed(messages, digits: 0)) messages a commit"
            got += " with \(fixed(result.spread(\.messagesPerCommit).median, digits: 1))"
        }
        return "goal: \(goal.callers) caller\(goal.callers == 1 ? "" : "s") "
            + "(\(result.wal.style.rawValue)), \(goal.payloadBytes) bytes: \(wanted) or more; "
            + "measured \(got): \(goal.isReached(by: result) ? "reached" : "missed")"
    }

    // MARK: JSON

    var json: JSON {
        .object([
            ("version", .integer(1)), ("measurement", .string("wal")),
            ("seconds", .number(seconds)), ("repeat", .integer(UInt64(repetitions))),
            ("results", .array(results.map(member))),
            (
                "goals",
                .array(
                    goals.map { goal, result in
                        .object([
                            ("callers", .integer(UInt64(goal.callers))),
                            ("style", .string(result.wal.style.rawValue)),
                            ("payload_bytes", .integer(UInt64(goal.payloadBytes))),
                            ("ratio", .number(goal.ratio)),
                            (
                                "messages_per_commit",
                                goal.messagesPerCommit.map { .number($0) } ?? .null
                            ),
                            ("reached", .bool(goal.isReached(by: result))),
                        ])
                    })
            ),
        ])
    }

    private func member(_ result: WalResult) -> JSON {
        let written = result.pairs.allSatisfy { $0.writtenBytes != nil }
        return .object([
            ("callers", .integer(UInt64(result.wal.callers))),
            ("style", .string(result.wal.style.rawValue)),
            ("payload_bytes", .integer(UInt64(result.wal.payloadBytes))),
            ("messages_per_second", result.spread(\.messagesPerSecond).json),
            ("commits_per_second", result.spread { Double($0.commits) / $0.seconds }.json),
            ("messages_per_commit", result.spread(\.messagesPerCommit).json),
            ("latency_us", WalReport.json(result.latency)),
            ("cpu_us_per_message", result.spread(cpuPerMessage).json),
            (
                "written_bytes_per_message",
                written ? result.spread(writtenPerMessage).json : .null
            ),
            ("raw_messages_per_second", result.spread(\.rawMessagesPerSecond).json),
            ("raw_commits_per_second", result.spread(\.raw.commitsPerSecond).json),
            ("raw_latency_us", WalReport.json(result.rawLatency)),
            ("ratio", result.spread(\.ratio).json),
            ("ratios", .array(result.pairs.map { .number($0.ratio) })),
        ])
    }

    private static let shares: [(name: String, share: Double)] = [
        ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999),
    ]

    private static func json(_ latency: Histogram) -> JSON {
        .object(
            shares.map { name, share in
                (name, latency.percentile(share).map { .number(Double($0) / 1000) } ?? .null)
            } + [("max", .number(Double(latency.longest) / 1000))])
    }

    private func cpuPerMessage(_ pair: WalPair) -> Double {
        pair.cpuMicroseconds / Double(pair.messages)
    }

    private func writtenPerMessage(_ pair: WalPair) -> Double {
        Double(pair.writtenBytes ?? 0) / Double(pair.messages)
    }

    private func microseconds(_ nanoseconds: UInt64?) -> String {
        nanoseconds.map { fixed(Double($0) / 1000, digits: 0) } ?? "-"
    }
}
