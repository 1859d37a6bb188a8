/// Checksums of any part of a window in time that hardly depends on the part's length.
///
/// A search validates candidates, and a file may be made of candidates that each claim 4 MiB:
/// reading every claim to its end would be quadratic. With the checksums of the window's prefixes
/// at hand, crc(a..<b) follows from crc(0..<a) and crc(0..<b) by zlib's crc32_combine.
package struct PrefixChecksum {
    private static let step = 1024
    /// Of the first 0, 1, 2, … steps.
    private var prefixes: [UInt32] = [0]

    package init() {}

    /// Forgets the window.
    package mutating func reset() {
        prefixes.removeAll(keepingCapacity: true)
        prefixes.append(0)
    }

    /// The checksum of `range` of `window`, the same window on every call until `reset`.
    package mutating func of(_ range: Range<Int>, in window: borrowing ByteBuffer) -> UInt32 {
        let bytes = window.bytes
        if range.count <= 4 * PrefixChecksum.step { return CRC32.of(bytes.extracting(range)) }
        let head = prefix(range.lowerBound, bytes)
        return prefix(range.upperBound, bytes) ^ CRC32.shift(head, by: range.count)
    }

    private mutating func prefix(_ end: Int, _ bytes: RawSpan) -> UInt32 {
        let step = PrefixChecksum.step
        while (prefixes.count - 1) * step + step <= end {
            let from = (prefixes.count - 1) * step
            prefixes.append(
                CRC32.of(
                    bytes.extracting(from..<from + step),
                    continuing: prefixes[prefixes.count - 1]))
        }
        let from = end / step * step
        return CRC32.of(bytes.extracting(from..<end), continuing: prefixes[end / step])
    }
}
