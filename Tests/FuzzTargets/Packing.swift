import WAL

/// Makes inputs of the targets from the files of a topic directory.
package enum Packing {
    /// One input for each target that something in the directory is for.
    package static func inputs(
        of files: [String: [UInt8]]
    ) -> [(target: FuzzTarget, bytes: [UInt8])] {
        var inputs: [(target: FuzzTarget, bytes: [UInt8])] = []
        if let offsets = files["offsets.json"] { inputs.append((.offsets, offsets)) }
        let go = files.keys.filter { $0.utf8.count == 10 && $0.hasSuffix(".log") }.sorted()
            .filter { $0.prefix(6).allSatisfy(\.isNumber) }
        if !go.isEmpty {
            inputs.append((.go, pack(go.compactMap { files[$0] }, head: [])))
            return inputs
        }
        // The last ones: a target takes two at most. The sealed ones' names sort before
        // `segment.log`.
        let names = files.keys.filter { SegmentName($0) != nil }.sorted().suffix(2)
        if names.isEmpty { return inputs }
        var flags: UInt8 = names.count == 2 ? 2 : 0
        if names.last != SegmentName.activeName { flags |= 4 }
        let packed = pack(names.compactMap { files[$0] }, head: [flags, 0])
        inputs += [(.segment, packed), (.salvage, packed)]
        return inputs
    }

    /// Where the second file begins stands before them; 0 if there is no second one.
    private static func pack(_ files: [[UInt8]], head: [UInt8]) -> [UInt8] {
        let split = files.count > 1 ? UInt16(truncatingIfNeeded: files[0].count) : 0
        let number = [UInt8(truncatingIfNeeded: split), UInt8(truncatingIfNeeded: split >> 8)]
        return head + number + files.flatMap { $0 }
    }
}
