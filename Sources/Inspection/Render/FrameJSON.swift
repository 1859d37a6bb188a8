internal import DataDirectory
internal import WAL

/// Frames as JSON, one object a line. The numbers are put together by hand, since writing them
/// costs more than all the rest; strings are the JSON writer's business.
struct FrameJSON: ~Copyable {
    private let payload: PayloadForm
    private let isFollowing: Bool
    /// `"topic":…,"segment":…,"offset":`, the same for all frames of a segment.
    private var head: [UInt8] = []
    private var line = LineBuffer()
    private var time = TimestampText()
    private var json = JSONWriter(capacity: 4096)

    private static let length = Array(",\"length\":".utf8)
    private static let id = Array(",\"id\":".utf8)
    private static let position = Array(",\"position\":".utf8)
    private static let timestamp = Array(",\"timestamp\":\"".utf8)
    private static let commit = Array("\",\"commit\":".utf8)
    private static let crc = Array(",\"crc\":\"".utf8)
    private static let digits = Array("0123456789abcdef".utf8)

    init(payload: PayloadForm, isFollowing: Bool) {
        self.payload = payload
        self.isFollowing = isFollowing
    }

    /// A segment begins.
    mutating func begin(topic: String, segment: String) {
        var json = JSONWriter(capacity: 256)
        json.beginObject()
        json.name("topic")
        json.string(topic)
        json.name("segment")
        json.string(segment)
        json.name("offset")
        head = json.buffer.bytes.copied()
    }

    /// Writes the line of a frame.
    mutating func render(
        _ frame: FrameFacts, bytes: RawSpan, isDurable: Bool, into buffer: inout ByteBuffer
    ) {
        line.cut(to: 0)
        line.append(head)
        line.append(decimal: frame.offset)
        line.append(FrameJSON.length)
        line.append(decimal: UInt64(frame.length))
        line.append(FrameJSON.id)
        line.append(decimal: frame.id)
        if let position = frame.position {
            line.append(FrameJSON.position)
            line.append(decimal: position)
        }
        _ = time.set(frame.timestamp)
        line.append(FrameJSON.timestamp)
        line.append(time.text)
        if let commit = frame.commit {
            line.append(FrameJSON.commit)
            line.append(decimal: commit)
        } else {
            line.append(UInt8(ascii: "\""))
        }
        line.append(FrameJSON.crc)
        for shift in stride(from: UInt32(28), through: 0, by: -4) {
            line.append(FrameJSON.digits[Int(frame.crc >> shift & 15)])
        }
        line.append(UInt8(ascii: "\""))
        if isFollowing { line.append(isDurable ? ",\"durable\":true" : ",\"durable\":false") }
        let hasMore =
            frame.role != .message || frame.key != nil || frame.headers != nil
            || frame.visibleAt != nil || payload != .none
        if hasMore {
            buffer.append(line.bytes)
            renderRest(frame, bytes, into: &buffer)
        } else {
            line.append("}\n")
            buffer.append(line.bytes)
        }
    }

    /// Members that are strings or rare. The writer begins an object of its own, whose bracket
    /// gives way to a comma.
    private mutating func renderRest(
        _ frame: FrameFacts, _ bytes: RawSpan, into buffer: inout ByteBuffer
    ) {
        json.buffer.reset(keepingAtMost: 65_536)
        json.beginObject()
        switch frame.role {
        case .message: break
        case .mark:
            json.name("mark")
            json.bool(true)
        case .lost(let count):
            json.name("lost")
            json.integer(count)
        }
        if let visibleAt = frame.visibleAt {
            json.name("visible_at")
            json.string(TimestampText.string(visibleAt))
        }
        if let key = frame.key {
            let key = bytes.extracting(key)
            if key.firstInvalidUTF8 == nil {
                json.name("key")
                json.string(utf8: key)
            } else {
                json.name("key_base64")
                json.base64(key)
            }
        }
        if let headers = frame.headers { writeHeaders(bytes.extracting(headers)) }
        if frame.role == .message { writePayload(bytes.extracting(frame.payload)) }
        json.endObject()
        json.newline()
        // What is left is `{…}` and a newline; without the bracket it goes on where the line ends.
        if json.buffer.count > 3 { buffer.append(integer: UInt8(ascii: ",")) }
        buffer.append(json.buffer.bytes.extracting(1..<json.buffer.count))
    }

    private mutating func writePayload(_ content: RawSpan) {
        switch payload {
        case .none: break
        case .hex:
            json.name("payload_hex")
            line.cut(to: 0)
            Printable.appendHexadecimal(content, limit: .max, to: &line)
            let digits = line.bytes
            json.string(utf8: RawSpan(of: digits))
        case .text where content.firstInvalidUTF8 == nil:
            json.name("payload")
            json.string(utf8: content)
        case .text, .base64:
            json.name("payload_base64")
            json.base64(content)
        }
    }

    private mutating func writeHeaders(_ block: RawSpan) {
        json.name("headers")
        json.beginArray()
        for header in HeaderBlock.headers(block) {
            json.beginArray()
            writeText(header.name)
            writeText(header.value)
            json.endArray()
        }
        json.endArray()
    }

    private mutating func writeText(_ bytes: [UInt8]) {
        let span = RawSpan(of: bytes)
        if span.firstInvalidUTF8 == nil { return json.string(utf8: span) }
        json.beginObject()
        json.name("base64")
        json.base64(span)
        json.endObject()
    }

    /// Writes the line of a finding.
    static func render(_ finding: Finding, topic: String, into buffer: inout ByteBuffer) {
        var json = JSONWriter(capacity: 512)
        json.beginObject()
        json.name("topic")
        json.string(topic)
        json.name("segment")
        json.string(finding.segment)
        json.name("offset")
        json.integer(finding.offset)
        json.name("length")
        json.integer(finding.length)
        json.name("finding")
        json.string(finding.kind.rawValue)
        json.name("severity")
        json.string(finding.severity.rawValue)
        json.name("detail")
        json.string(finding.detail)
        if let lost = finding.lost {
            json.name("lost")
            json.beginArray()
            json.beginArray()
            json.integer(lost.lowerBound)
            json.integer(lost.upperBound)
            json.endArray()
            json.endArray()
        }
        json.endObject()
        json.newline()
        buffer.append(json.buffer.bytes)
    }
}
