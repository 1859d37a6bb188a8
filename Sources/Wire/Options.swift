/// Fields of the form `name=value`, after the fixed ones of a line.
enum Options {
    /// The header that a PUB's option stands for.
    static func header(
        _ bytes: Span<UInt8>, _ field: Range<Int>, before: [WireHeader]
    ) throws(Refusal) -> WireHeader {
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "="), in: field) else {
            throw Refusal(.invalid, "an option is <name>=<value>")
        }
        let name = field.lowerBound..<equals
        guard let value = PercentEncoding.decode(bytes, at: equals + 1..<field.upperBound) else {
            throw Refusal(.invalid, "an option's % is not followed by two hexadecimal digits")
        }
        if let own = ownName(bytes, name) {
            guard !value.isEmpty else { throw Refusal(.invalid, "an empty trace context") }
            guard !before.contains(where: { $0.name == own }) else {
                throw Refusal(.invalid, "the same option twice")
            }
            return WireHeader(name: own, value: value)
        }
        guard bytes.begins(with: "h.", at: name) else {
            throw Refusal(.invalid, "an unknown option")
        }
        let header = WireHeader(
            name: bytes.copied(name.lowerBound + 2..<name.upperBound), value: value)
        guard header.isSendable else {
            throw Refusal(
                .invalid,
                "a header's name is 1 to \(WireLimits.headerNameBytes) of A-Z a-z 0-9 . _ -")
        }
        // They would come out as the options of that name.
        guard header.name != WireHeader.traceparent, header.name != WireHeader.tracestate else {
            throw Refusal(.invalid, "the trace context is an option of its own")
        }
        return header
    }

    /// The name of a header that is an option of that name; nil for any other option.
    static func ownName(_ bytes: Span<UInt8>, _ name: Range<Int>) -> [UInt8]? {
        if bytes.holds("traceparent", at: name) { return WireHeader.traceparent }
        if bytes.holds("tracestate", at: name) { return WireHeader.tracestate }
        return nil
    }

    /// What is published has to fit a MSG line too.
    static func checkFit(
        _ bytes: Span<UInt8>, _ topic: Range<Int>, _ key: Range<Int>?, _ headers: [WireHeader]
    ) throws(Refusal) {
        var length = MessageLine.fixedBytes + topic.count
        if let key { length += 5 + PercentEncoding.length(bytes.copied(key)) }
        for header in headers { length += MessageLine.length(header) }
        guard length <= WireLimits.lineBytes else {
            throw Refusal(.invalid, "key and headers do not fit a MSG line")
        }
    }
}
