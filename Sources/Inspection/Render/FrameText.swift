internal import WAL

/// Frames as lines for people, one each, in columns that line up:
///
///     [~] [topic]  id  time  bytes  commit  key  the rest
struct FrameText {
    /// Bytes of a key, a header or a payload that are shown.
    private static let keyLimit = 64
    private static let payloadLimit = 96
    /// The column of keys grows with them up to so many bytes.
    private static let keyWidthLimit = 24

    private let payload: PayloadForm
    /// Width of the topic's column; nil to leave it out.
    private let topicWidth: Int?
    /// Whether the first column tells if a frame is known durable.
    private let isFollowing: Bool
    private var line = LineBuffer()
    private var time = TimestampText()
    /// Its column, as wide as that is.
    private var topic: [UInt8] = []

    // Where the columns end, counted from the first byte of the line. They grow with the numbers.
    private var idWidth = 8
    private var lengthWidth = 7
    private var keyWidth = 3
    private var idEnd = 0
    private var timeStart = 0
    private var lengthEnd = 0
    private var commitEnd = 0

    init(payload: PayloadForm, topicWidth: Int?, isFollowing: Bool) {
        self.payload = payload
        self.topicWidth = topicWidth
        self.isFollowing = isFollowing
        layOut()
    }

    /// The names of the columns, for a terminal.
    mutating func heading() -> [UInt8] {
        setTopic("TOPIC")
        layOut()
        put("ID", endingAt: idEnd)
        put(
            "TIME (UTC)" + String(repeating: " ", count: TimestampText.count - 10),
            endingAt: timeStart + TimestampText.count)
        put("BYTES", endingAt: lengthEnd)
        put("COMMIT", endingAt: commitEnd)
        line.append(payload == .none ? "  KEY\n" : "  KEY  PAYLOAD\n")
        let heading = line.bytes
        topic = []
        layOut()
        return heading
    }

    /// Another topic, or another segment of it, begins.
    mutating func begin(topic: String) {
        setTopic(Printable.text(topic))
        layOut()
    }

    /// Columns are as wide as their characters are many; bytes may be more.
    private mutating func setTopic(_ text: String) {
        guard let topicWidth else { return }
        let padding = String(repeating: " ", count: max(0, topicWidth - text.count) + 1)
        topic = Array((text + padding).utf8)
    }

    /// Writes the line of a frame.
    mutating func render(
        _ frame: FrameFacts, bytes: RawSpan, isDurable: Bool, into buffer: inout ByteBuffer
    ) {
        line.cut(to: commitEnd)
        if isFollowing { line.set(0, isDurable ? UInt8(ascii: " ") : UInt8(ascii: "~")) }
        while !putNumbers(frame) { widen(for: frame) }
        if time.set(frame.timestamp) { putTime() }
        appendRest(frame, bytes)
        line.append(UInt8(ascii: "\n"))
        buffer.append(line.bytes)
    }

    // MARK: Columns

    /// Makes the part of the line that all frames of a topic share.
    private mutating func layOut() {
        line.cut(to: 0)
        if isFollowing { line.append("  ") }
        line.append(topic)
        idEnd = line.count + idWidth
        timeStart = idEnd + 2
        lengthEnd = timeStart + TimestampText.count + 1 + lengthWidth
        commitEnd = lengthEnd + 1 + idWidth
        pad(to: commitEnd)
        putTime()
    }

    private mutating func pad(to end: Int) {
        while line.count < end { line.append(UInt8(ascii: " ")) }
    }

    private mutating func put(_ text: String, endingAt end: Int) {
        for (index, byte) in text.utf8.enumerated() {
            line.set(end - text.utf8.count + index, byte)
        }
    }

    private mutating func putTime() {
        for index in 0..<TimestampText.count { line.set(timeStart + index, time.text[index]) }
    }

    /// False if a number does not fit into its column.
    private mutating func putNumbers(_ frame: FrameFacts) -> Bool {
        guard line.put(frame.id, width: idWidth, endingAt: idEnd),
            line.put(UInt64(frame.length), width: lengthWidth, endingAt: lengthEnd)
        else { return false }
        switch frame.role {
        case .mark: return putWord("mark")
        case .lost: return putWord("lost")
        case .message: break
        }
        guard let commit = frame.commit else { return putWord("-") }
        return line.put(commit, width: idWidth, endingAt: commitEnd)
    }

    /// A word where others have the number of their commit.
    private mutating func putWord(_ word: String) -> Bool {
        put(String(repeating: " ", count: idWidth - word.utf8.count) + word, endingAt: commitEnd)
        return true
    }

    private mutating func widen(for frame: FrameFacts) {
        lengthWidth = max(lengthWidth, String(frame.length).utf8.count)
        idWidth = max(idWidth, String(max(frame.id, frame.commit ?? 0)).utf8.count)
        layOut()
        if isFollowing { line.set(0, UInt8(ascii: " ")) }
    }

    // MARK: What follows the numbers

    private mutating func appendRest(_ frame: FrameFacts, _ bytes: RawSpan) {
        switch frame.role {
        case .message: break
        case .mark:
            line.append("  all ids before are durable")
            return
        case .lost(let count):
            line.append("  ")
            line.append(decimal: count)
            line.append(count == 1 ? " message" : " messages, up to id ")
            // Counted from a frame that the decoder has checked: no overflow.
            if count != 1 { line.append(decimal: frame.id + (count - 1)) }
            return
        }
        line.append(UInt8(ascii: " "))
        line.append(UInt8(ascii: " "))
        let start = line.count
        if let key = frame.key {
            Printable.append(bytes.extracting(key), limit: FrameText.keyLimit, to: &line)
            let width = min(line.count - start, FrameText.keyWidthLimit)
            keyWidth = max(keyWidth, width)
        } else {
            line.append(UInt8(ascii: "-"))
        }
        let hasMore = payload != .none || frame.headers != nil || frame.visibleAt != nil
        if hasMore { pad(to: start + keyWidth) }
        if let visibleAt = frame.visibleAt {
            line.append("  visible_at=")
            line.append(TimestampText.string(visibleAt))
        }
        if let headers = frame.headers { appendHeaders(bytes.extracting(headers)) }
        if payload != .none { appendPayload(bytes.extracting(frame.payload)) }
    }

    private mutating func appendPayload(_ content: RawSpan) {
        line.append("  ")
        let limit = FrameText.payloadLimit
        switch payload {
        case .text: Printable.append(content, limit: limit, to: &line)
        case .hex: Printable.appendHexadecimal(content, limit: limit / 2, to: &line)
        case .base64: Printable.appendBase64(content, limit: limit / 4 * 3, to: &line)
        case .none: break
        }
    }

    private mutating func appendHeaders(_ block: RawSpan) {
        line.append("  {")
        var isFirst = true
        for header in HeaderBlock.headers(block) {
            if !isFirst { line.append(", ") }
            isFirst = false
            let name = RawSpan(of: header.name)
            Printable.append(name, limit: FrameText.keyLimit, to: &line)
            line.append(": ")
            let value = RawSpan(of: header.value)
            Printable.append(value, limit: FrameText.keyLimit, to: &line)
        }
        line.append(UInt8(ascii: "}"))
    }

    // MARK: Findings

    /// The line of a finding. It begins with `#`, which no line of a frame does.
    static func render(_ finding: Finding, topic: String?) -> String {
        let place = [topic, finding.segment].compactMap(\.self).joined(separator: "/")
        var text = "# \(place): offset \(finding.offset), \(finding.length) bytes: "
        text += "\(finding.severity.rawValue) \(finding.kind.rawValue): \(finding.detail)"
        if let lost = finding.lost {
            let last = lost.lowerBound == lost.upperBound ? "" : " to \(lost.upperBound)"
            text += "; lost: id \(lost.lowerBound)\(last)"
        }
        // Names of files stand in the detail, too.
        return Printable.text(text) + "\n"
    }
}
