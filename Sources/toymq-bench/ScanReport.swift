import JSONText

/// What `toymq-bench scan` prints.
struct ScanReport {
    let results: [ScanResult]

    /// The part of zlib's speed that a scan is to reach.
    private func goal(_ result: ScanResult) -> Double? {
        result.isHelped ? nil : result.threads == 1 ? 0.85 : 0.8
    }

    var text: String {
        let rows = results.map { result in
            [
                String(result.threads) + (result.isHelped ? "+1" : ""),
                megabytes(result, result.opening),
                megabytes(result, result.zlib), fixed(result.ratio.median, digits: 2),
                "\(fixed(result.ratio.least, digits: 2))-\(fixed(result.ratio.most, digits: 2))",
                fixed(result.cpuRatio.median, digits: 2),
            ]
        }
        let goals = results.compactMap { result in
            goal(result).map { goal in
                "goal: \(result.threads) thread\(result.threads == 1 ? "" : "s"): "
                    + "\(fixed(goal, digits: 2)) of zlib or more; measured "
                    + "\(fixed(result.ratio.median, digits: 2)): "
                    + (result.ratio.median >= goal ? "reached" : "missed")
            }
        }
        let intro = """
            Medians; opening a log against zlib's crc32 over the same bytes in memory, on as many \
            threads. +1: with the help of one more, which zlib has not. The last ratio is that of \
            CPU times, which other processes disturb less.
            """
        let heads = ["threads", "open MB/s", "zlib MB/s", "ratio", "from-to", "CPU ratio"]
        return ([intro, "", table([heads] + rows), ""] + goals).joined(separator: "\n")
    }

    var json: JSON {
        .object([
            ("version", .integer(1)), ("measurement", .string("scan")),
            ("payload_bytes", .integer(UInt64(ScanTopic.payloadBytes))),
            (
                "results",
                .array(
                    results.map { result in
                        .object([
                            ("threads", .integer(UInt64(result.threads))),
                            ("helped", .bool(result.isHelped)),
                            (
                                "open_bytes_per_second",
                                result.bytesPerSecond(result.opening).json
                            ),
                            ("zlib_bytes_per_second", result.bytesPerSecond(result.zlib).json),
                            ("ratio", result.ratio.json), ("cpu_ratio", result.cpuRatio.json),
                            ("goal", goal(result).map { .number($0) } ?? .null),
                            (
                                "reached",
                                goal(result).map { .bool(result.ratio.median >= $0) } ?? .null
                            ),
                        ])
                    })
            ),
        ])
    }

    private func megabytes(_ result: ScanResult, _ times: [ScanResult.Time]) -> String {
        fixed(result.bytesPerSecond(times).median / 1e6, digits: 0)
    }
}
