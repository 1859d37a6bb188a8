internal import DataDirectory
internal import WAL

extension Statistics {
    /// One JSON object and a newline; what there is no value for is left out.
    package func json(topic: String) -> String {
        var json = JSONWriter(capacity: 1024)
        json.beginObject()
        json.name("topic")
        json.string(topic)
        member("segments", segments, &json)
        member("file_bytes", fileBytes, &json)
        member("messages", messages, &json)
        member("first_id", firstID, &json)
        member("last_id", lastID, &json)
        member("marks", marks, &json)
        member("lost", lostMessages, &json)
        member("findings", findings, &json)
        member("keys", keys, &json)
        member("with_headers", withHeaders, &json)
        member("frame_bytes", frameBytes, &json)
        member("payload_bytes", payloadBytes, &json)
        member("payload_min", sizes.smallest.map(UInt64.init), &json)
        member("payload_mean", meanPayload, &json)
        member("payload_p50", sizes.quantile(0.5).map(UInt64.init), &json)
        member("payload_p99", sizes.quantile(0.99).map(UInt64.init), &json)
        member("payload_max", sizes.largest.map(UInt64.init), &json)
        if let earliest, let latest {
            json.name("first_timestamp")
            json.string(TimestampText.string(earliest))
            json.name("last_timestamp")
            json.string(TimestampText.string(latest))
        }
        member("seconds", span.map { Double($0) / 1e9 }, &json)
        member("messages_per_second", rate(messages), &json)
        member("payload_bytes_per_second", rate(payloadBytes), &json)
        member("commits", commits, &json)
        member("messages_per_commit", perCommit, &json)
        member("largest_commit", commits == nil ? nil : largestCommit, &json)
        json.endObject()
        json.newline()
        return String(decoding: json.buffer.bytes.copied(), as: UTF8.self)
    }

    /// A member, left out where there is no value.
    private func member(_ name: StaticString, _ value: UInt64?, _ json: inout JSONWriter) {
        guard let value else { return }
        json.name(name)
        json.integer(value)
    }

    private func member(_ name: StaticString, _ value: Double?, _ json: inout JSONWriter) {
        guard let value else { return }
        json.name(name)
        json.value(.number(Statistics.decimal(value, places: 3)))
    }

    // MARK: Text

    /// Some lines for people.
    package func text(topic: String) -> String {
        var lines = ["\(Printable.text(topic)):"]
        func row(_ name: String, _ value: String?) {
            guard let value else { return }
            let pad = String(repeating: " ", count: max(1, 22 - name.utf8.count))
            lines.append("  \(name)\(pad)\(value)")
        }
        row("segments", "\(segments), \(fileBytes) bytes")
        row("messages", "\(messages)")
        if let firstID, let lastID { row("ids", "\(firstID) to \(lastID)") }
        row("marks", marks.map(String.init))
        if lostMessages > 0 { row("lost messages", "\(lostMessages)") }
        if findings > 0 { row("findings", "\(findings)") }
        row("frame bytes", "\(frameBytes)")
        row("payload bytes", "\(payloadBytes)")
        if let smallest = sizes.smallest, let largest = sizes.largest, let meanPayload,
            let median = sizes.quantile(0.5), let high = sizes.quantile(0.99)
        {
            row(
                "payload sizes",
                "\(smallest) to \(largest), mean \(Statistics.decimal(meanPayload, places: 1)), "
                    + "median about \(median), 99 % up to about \(high)")
        }
        row("with a key", "\(keys)")
        row("with headers", "\(withHeaders)")
        if let earliest, let latest {
            row("first", TimestampText.string(earliest))
            row("last", TimestampText.string(latest))
        }
        row("time span", span.map { Statistics.decimal(Double($0) / 1e9, places: 3) + " s" })
        if let messageRate = rate(messages), let byteRate = rate(payloadBytes) {
            row(
                "rate",
                "\(Statistics.decimal(messageRate, places: 1)) messages/s, "
                    + "\(Statistics.decimal(byteRate, places: 1)) payload bytes/s")
        }
        row("commits", commits.map(String.init))
        row(
            "messages per commit",
            perCommit.map {
                "\(Statistics.decimal($0, places: 1)) on average, at most \(largestCommit)"
            })
        return lines.joined(separator: "\n") + "\n"
    }

    /// A number below 10^15 with so many digits behind the point, without an exponent.
    static func decimal(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let whole = (value * scale).rounded()
        guard whole < 9e18 else { return String(UInt64(min(value, 1.8e19))) }
        let digits = String(UInt64(whole))
        let padded =
            String(repeating: "0", count: max(0, places + 1 - digits.utf8.count)) + digits
        return "\(padded.dropLast(places)).\(padded.suffix(places))"
    }
}
