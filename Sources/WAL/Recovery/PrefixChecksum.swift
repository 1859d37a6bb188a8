/// Checksums of any part of a window in time that hardly depends on the part's length.
///
/// A search validates candidates, and a file may be made of candidates that each claim 4 MiB:
/// reading every claim to its end would be quadratic. With the checksums of the window's prefixes
/// at hand, crc(a..<b) follows from crc(0..<a) and crc(0..<b) by zlib's crc32_combine.
struct PrefixChecksum {
    private static let step = 1024
    private var prefixes: [UInt32] = [0]

    /// Forgets the window.
    mutating func reset() {
        prefixes.removeAll(keepingCapacity: true)
        prefixes.append(0)
    }

    /// The checksum of `range` of `window`, the same window on every call until `reset`.
    mutating func of(_ range: Range<Int>, in window: RawSpan) -> UInt32 {
        if range.count <= 4 * PrefixChecksum.step { return CRC32.of(window.extracting(range)) }
        let head = prefix(range.lowerBound, window)
        return prefix(range.upperBound, window) ^ CRC32.shift(head, by: range.count)
    }

    private mutating func prefix(_ end: Int, _ window: RawSpan) -> UInt32 {
        let step = PrefixChecksum.step
        while (prefixes.count - 1) * step + step <= end {
            let from = (prefixes.count - 1) * step
            prefixes.append(
                CRC32.of(
                    window.extracting(from..<from + step),
                    continuing: prefixes[prefixes.count - 1]))
        }
        let from = end / step * step
        return CRC32.of(window.extracting(from..<end), continuing: prefixes[end / step])
    }
}
