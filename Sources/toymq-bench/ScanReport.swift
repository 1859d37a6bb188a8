/// What `toymq-bench scan` prints.
struct ScanReport {
    let results: [ScanResult]

    /// The part of zlib's speed that a scan is to reach.
    private static func goal(threads: Int) -> Double { threads == 1 ? 0.85 : 0.8 }

    private func isReached(_ result: ScanResult) -> Bool {
        result.ratio.median >= ScanReport.goal(threads: result.threads)
    }

    var text: String {
        let rows = results.map { result in
            [
                String(result.threads), megabytes(result, result.opening),
                megabytes(result, result.zlib), fixed(result.ratio.median, digits: 2),
                "\(fixed(result.ratio.least, digits: 2))-\(fixed(result.ratio.most, digits: 2))",
                fixed(result.cpuRatio.median, digits: 2),
            ]
        }
        let goals = results.map { result in
            let goal = fixed(ScanReport.goal(threads: result.threads), digits: 2)
            return "goal: \(result.threads) thread\(result.threads == 1 ? "" : "s"): "
                + "\(goal) of zlib or more; measured "
                + "\(fixed(result.ratio.median, digits: 2)): "
                + (isReached(result) ? "reached" : "missed")
        }
        let intro = """
            Medians; opening a log against zlib's crc32 over the same bytes in memory. The last \
            ratio is that of CPU times, which other processes disturb less.
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
                            (
                                "open_bytes_per_second",
                                result.bytesPerSecond(result.opening).json
                            ),
                            ("zlib_bytes_per_second", result.bytesPerSecond(result.zlib).json),
                            ("ratio", result.ratio.json), ("cpu_ratio", result.cpuRatio.json),
                            ("goal", .number(ScanReport.goal(threads: result.threads))),
                            ("reached", .bool(isReached(result))),
                        ])
                    })
            ),
        ])
    }

    private func megabytes(_ result: ScanResult, _ times: [ScanResult.Time]) -> String {
        fixed(result.bytesPerSecond(times).median / 1e6, digits: 0)
    }
}
