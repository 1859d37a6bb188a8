internal import Inspection

/// Bytes in rows of sixteen, those of the finding marked.
enum HexDump {
    static func render(
        _ excerpt: ReportPictures.Excerpt, _ finding: Finding, _ page: inout HTMLText
    ) {
        let from = finding.offset
        let to = finding.offset + max(finding.length, 1)
        page.raw("<pre class=\"hex\">")
        for row in stride(from: 0, to: excerpt.bytes.count, by: 16) {
            let offset = excerpt.start + UInt64(row)
            page.raw("<span class=\"at\">\(digits(offset, 8))</span>  ")
            let bytes = excerpt.bytes[row..<min(row + 16, excerpt.bytes.count)]
            var text = ""
            var isMarked = false
            for (index, byte) in bytes.enumerated() {
                let here = (from..<to).contains(offset + UInt64(index))
                if here != isMarked { page.raw(here ? "<mark>" : "</mark>") }
                isMarked = here
                page.raw(digits(UInt64(byte), 2))
                if index < 15 { page.raw(index == 7 ? "  " : " ") }
                text.unicodeScalars.append(
                    (0x20..<0x7F).contains(byte) ? Unicode.Scalar(byte) : ".")
            }
            if isMarked { page.raw("</mark>") }
            let missing = 16 - bytes.count
            let gap = missing * 3 + (missing > 8 ? 1 : 0)
            page.raw(String(repeating: " ", count: 2 + gap))
            page.text(text)
            page.raw("\n")
        }
        page.raw("</pre>")
    }

    private static func digits(_ value: UInt64, _ count: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
