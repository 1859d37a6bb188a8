/// Zero bytes to write, made once.
enum Zeros {
    private static let block = [UInt8](repeating: 0, count: 256 << 10)

    static func write(
        _ count: Int, to file: any DiskFile, at offset: UInt64
    ) throws(DiskError) {
        var done = 0
        while done < count {
            let piece = min(count - done, block.count)
            let bytes = RawSpan(of: block).extracting(0..<piece)
            try file.writeAll(bytes, at: offset + UInt64(done))
            done += piece
        }
    }
}
