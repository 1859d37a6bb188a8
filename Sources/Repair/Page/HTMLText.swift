internal import WAL

/// Writes a page. What comes from files and paths goes through `text`, which leaves no mark-up in
/// it.
struct HTMLText: ~Copyable {
    private var buffer = ByteBuffer(capacity: 65_536)

    var bytes: [UInt8] { buffer.bytes.copied() }

    /// Mark-up of our own.
    mutating func raw(_ text: String) { buffer.append(text) }

    mutating func text(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): buffer.append("&amp;")
            case UInt8(ascii: "<"): buffer.append("&lt;")
            case UInt8(ascii: ">"): buffer.append("&gt;")
            case UInt8(ascii: "\""): buffer.append("&quot;")
            // Control characters may not stand in a page.
            case 0..<0x20 where byte != 0x0A && byte != 0x09, 0x7F: buffer.append("\u{FFFD}")
            default: buffer.append(integer: byte)
            }
        }
    }

    mutating func element(_ name: String, _ kind: String, _ content: String) {
        raw(kind.isEmpty ? "<\(name)>" : "<\(name) class=\"\(kind)\">")
        text(content)
        raw("</\(name)>")
    }
}
