/// The whole frames of a file, put together by where they say that offset 0 is: for a segment whose
/// mark does not tell. Those inside of another frame, copies in its payload, are not among them.
struct FrameFamilies {
    /// Frames that agree on the position of offset 0.
    struct Family {
        /// How long they are together.
        var bytes: UInt64 = 0
        /// Where the first of them begins, and where the last one ends.
        let first: UInt64
        var end: UInt64
        /// The first of them is a mark, and this is what the frame that ends there says of offset
        /// 0.
        let opensBehind: UInt64?
        /// Only marks may stand before the first id of a log, and id 0 stands where they do not
        /// lead.
        var isImpossible = false
    }

    /// What the whole frames of a file agree on.
    struct Common {
        /// The position of offset 0.
        let base: UInt64
        /// Bytes of the frames that say so.
        let bytes: UInt64
        /// Where the last whole frame of all ends.
        let end: UInt64
        /// The first id of the segment, if its mark stands elsewhere in the file.
        let firstID: UInt64?
    }

    private var families: [UInt64: Family] = [:]
    /// The frame at offset 0 if it is no mark.
    private var misplaced: FrameFields?
    /// The first mark that ends where by its word the frame at offset 0 would: what is behind the
    /// two has kept its place when they were exchanged.
    private var exchanged: FrameFields?
    private var last: (base: UInt64, end: UInt64)?

    /// So many are remembered at once. A file that somebody made may have one for each of its
    /// frames; in any other there are as many as pages have come from elsewhere.
    private static let most = 1 << 15

    /// The frames by which offset 0 has the position `base`.
    subscript(base: UInt64) -> Family? { families[base] }

    /// Takes the next whole frame of the file.
    mutating func add(_ fields: FrameFields, bytes: UInt64, at offset: UInt64) {
        let base = fields.position &- offset
        let isMark = fields.presence.contains(.mark)
        let end = offset + bytes
        var family =
            families[base]
            ?? Family(
                first: offset, end: end,
                opensBehind: isMark && last?.end == offset ? last?.base : nil)
        family.bytes += bytes
        family.end = end
        if fields.id == 0, offset % UInt64(FrameLayout.smallestFrame) != 0 {
            family.isImpossible = true
        }
        families[base] = family
        last = (base, end)
        if families.count > Self.most { forgetSmallest() }
        if offset == 0, !isMark { misplaced = fields }
        if isMark, exchanged == nil, let misplaced,
            fields.position &+ end == misplaced.position &+ UInt64(misplaced.frameBytes)
        {
            exchanged = fields
        }
    }

    /// Forgets the half with the fewest bytes, of such with as many those that came later.
    private mutating func forgetSmallest() {
        let ranked = families.sorted {
            ($0.value.bytes, $1.value.first) > ($1.value.bytes, $0.value.first)
        }
        let told = [misplaced?.position, exchanged?.position, last?.base].compactMap(\.self)
        for (base, _) in ranked[(Self.most / 2)...] where !told.contains(base) {
            families[base] = nil
        }
    }

    /// The position of offset 0 that the frames agree on.
    ///
    /// A frame at offset 0 that has changed places with a mark says it, with that mark, if any
    /// other frame agrees. Else it is what most bytes of whole frames say: a copy of a frame inside
    /// a payload says another one, but fewer bytes of it; and of two that are alike the copy is the
    /// later one. But where another log has been appended, the one that stands first is this one,
    /// however short.
    var common: Common? {
        guard let last else { return nil }
        if let exchanged, let family = families[exchanged.position] {
            return Common(
                base: exchanged.position, bytes: family.bytes, end: last.end,
                firstID: exchanged.id)
        }
        let unheard = unheard
        guard let most = mostBytes(but: unheard, where: { _ in true }) else { return nil }
        var base = first(before: most, but: unheard)
        if let family = families[base], family.isImpossible,
            let possible = mostBytes(
                but: unheard, where: { !$0.isImpossible && $0.end <= family.first })
        {
            base = first(before: possible, but: unheard)
        }
        return families[base].map {
            Common(base: base, bytes: $0.bytes, end: last.end, firstID: nil)
        }
    }

    /// A message at offset 0, where only a mark may stand, is out of place if nobody agrees with
    /// it, however long it is: it is heard only if it is alone.
    private var unheard: UInt64? {
        guard let misplaced, families.count > 1,
            families[misplaced.position]?.bytes == UInt64(misplaced.frameBytes)
        else { return nil }
        return misplaced.position
    }

    private func mostBytes(but unheard: UInt64?, where isMeant: (Family) -> Bool) -> UInt64? {
        var most: (base: UInt64, family: Family)?
        for (base, family) in families where base != unheard && isMeant(family) {
            if let most, (most.family.bytes, family.first) >= (family.bytes, most.family.first) {
                continue
            }
            most = (base, family)
        }
        return most?.base
    }

    /// Where a log begins right behind the frames of another one: what those say, of however many
    /// logs the first. Frames that were taken from further on in the same log are none of another.
    private func first(before base: UInt64, but unheard: UInt64?) -> UInt64 {
        guard let last else { return base }
        var base = base
        while let family = families[base], let told = family.opensBehind, told != unheard,
            let other = families[told], other.end == family.first,
            told &+ other.first &- base >= last.end
        {
            base = told
        }
        return base
    }
}
