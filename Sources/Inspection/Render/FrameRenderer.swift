package import WAL

/// Frames and findings as lines, text or JSON, put into one buffer that the caller empties.
package struct FrameRenderer: ~Copyable {
    /// What was rendered and not taken yet.
    package var buffer: ByteBuffer
    private var text: FrameText
    private var json: FrameJSON
    private let isJSON: Bool
    private let hasTopicColumn: Bool
    private var topic: String?
    private var segment: String?

    /// - Parameters:
    ///   - topicWidth: that of the longest topic; nil where text has no column for it.
    ///   - isFollowing: whether every frame says if it is known durable.
    package init(json: Bool, payload: PayloadForm, topicWidth: Int?, isFollowing: Bool) {
        buffer = ByteBuffer(capacity: 512 << 10)
        text = FrameText(payload: payload, topicWidth: topicWidth, isFollowing: isFollowing)
        self.json = FrameJSON(payload: payload, isFollowing: isFollowing)
        isJSON = json
        hasTopicColumn = topicWidth != nil
    }

    /// The names of the columns, for a terminal.
    package mutating func heading() {
        if !isJSON { buffer.append(text.heading()) }
    }

    /// The line of a frame, whose bytes are all of `bytes`.
    package mutating func frame(
        _ frame: FrameFacts, bytes: RawSpan, topic: String, segment: String, isDurable: Bool
    ) {
        if segment != self.segment || topic != self.topic {
            self.segment = segment
            self.topic = topic
            if isJSON {
                json.begin(topic: topic, segment: segment)
            } else {
                text.begin(topic: topic)
            }
        }
        if isJSON {
            json.render(frame, bytes: bytes, isDurable: isDurable, into: &buffer)
        } else {
            text.render(frame, bytes: bytes, isDurable: isDurable, into: &buffer)
        }
    }

    /// The line of a finding.
    package mutating func finding(_ finding: Finding, topic: String) {
        if isJSON {
            FrameJSON.render(finding, topic: topic, into: &buffer)
        } else {
            buffer.append(FrameText.render(finding, topic: hasTopicColumn ? topic : nil))
        }
    }
}
