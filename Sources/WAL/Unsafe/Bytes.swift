// One of the two files of this module in which memory is touched without a check by the
// compiler (the other is System.swift). Everything here checks its own bounds, also in release.

private import CZlib
private import Glibc

/// A growable run of bytes with one owner. Unlike an array it is not filled with zeros when it
/// grows, and `read` and the frame encoder can write straight into it.
@safe package struct ByteBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer
    /// How many bytes fit before the buffer has to move.
    package private(set) var capacity: Int
    /// How many bytes are in it. Invariant: 0 ≤ count ≤ capacity.
    package private(set) var count: Int

    /// An empty buffer with room for `capacity` bytes.
    package init(capacity: Int = 0) {
        precondition(capacity >= 0)
        unsafe self.base = .allocate(byteCount: max(capacity, 1), alignment: 16)
        self.capacity = capacity
        self.count = 0
    }

    deinit { unsafe base.deallocate() }

    /// All bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Makes room for `total` bytes altogether; at least doubles, so that appending is linear.
    package mutating func reserve(_ total: Int) {
        guard total > capacity else { return }
        let larger = max(total, min(capacity * 2, capacity + 8 << 20))
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        unsafe moved.copyMemory(from: base, byteCount: count)
        unsafe base.deallocate()
        unsafe base = moved
        capacity = larger
    }

    /// Forgets the bytes and keeps the memory, unless that is more than `limit` bytes.
    package mutating func reset(keepingAtMost limit: Int = .max) {
        count = 0
        guard capacity > limit else { return }
        unsafe base.deallocate()
        unsafe base = .allocate(byteCount: max(limit, 1), alignment: 16)
        capacity = limit
    }

    /// Appends a little-endian integer.
    package mutating func append<T: FixedWidthInteger & BitwiseCopyable>(integer: T) {
        reserve(count + MemoryLayout<T>.size)
        unsafe base.storeBytes(of: integer.littleEndian, toByteOffset: count, as: T.self)
        count += MemoryLayout<T>.size
    }

    /// Appends a copy of `other`.
    package mutating func append(_ other: RawSpan) {
        reserve(count + other.byteCount)
        let target = unsafe base + count
        unsafe other.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
        count += other.byteCount
    }

    /// Appends a copy of `other`.
    package mutating func append(_ other: [UInt8]) { append(RawSpan(of: other)) }

    /// Appends the UTF-8 of `text`.
    package mutating func append(_ text: StaticString) {
        reserve(count + text.utf8CodeUnitCount)
        unsafe (base + count).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    /// Appends the UTF-8 of `text`.
    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            unsafe append(RawSpan(_unsafeElements: utf8))
        }
    }

    /// Appends `number` zero bytes.
    package mutating func append(zeros number: Int) {
        precondition(number >= 0)
        reserve(count + number)
        unsafe (base + count).initializeMemory(as: UInt8.self, repeating: 0, count: number)
        count += number
    }

    /// Lets `fill` write up to `limit` bytes behind the last one and takes as many as it says.
    package mutating func append<E: Error>(
        upTo limit: Int, filledBy fill: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) -> Int {
        precondition(limit >= 0)
        reserve(count + limit)
        let written = unsafe try fill(.init(start: base + count, count: limit))
        precondition(written >= 0 && written <= limit)
        count += written
        return written
    }

    /// Flips the bits of `mask` in the little-endian integer at `offset`; twice is not at all.
    @inline(__always)
    package mutating func flip(_ mask: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset <= count - 4)
        let value = unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        unsafe base.storeBytes(
            of: value ^ mask.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Drops the first `number` bytes; what is left moves to the front.
    package mutating func removeFirst(_ number: Int) {
        precondition(number >= 0 && number <= count)
        unsafe memmove(base, base + number, count - number)
        count -= number
    }

    /// Runs `body` with a pointer to all bytes, for a system call.
    package borrowing func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        unsafe try body(UnsafeRawBufferPointer(start: base, count: count))
    }
}

extension RawSpan {
    /// The bytes of an array.
    @_lifetime(borrow array)
    package init(of array: borrowing [UInt8]) {
        let span = unsafe array.span.bytes
        self = unsafe _overrideLifetime(span, borrowing: array)
    }

    /// The byte at `offset`. Traps when out of bounds, as all of these do.
    @inline(__always)
    package func u8(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount)
        return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// The little-endian 16-bit integer at `offset`.
    @inline(__always)
    package func u16(at offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset <= byteCount - 2)
        return UInt16(
            littleEndian: unsafe unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    /// The little-endian 32-bit integer at `offset`.
    @inline(__always)
    package func u32(at offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset <= byteCount - 4)
        return UInt32(
            littleEndian: unsafe unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// The little-endian 64-bit integer at `offset`.
    @inline(__always)
    package func u64(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset <= byteCount - 8)
        return UInt64(
            littleEndian: unsafe unsafeLoadUnaligned(
                fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    /// Whether every byte is zero.
    package var isZero: Bool {
        var offset = 0
        while offset + 64 <= byteCount {
            var bits: UInt64 = 0
            for word in 0..<8 { bits |= u64(at: offset + word * 8) }
            if bits != 0 { return false }
            offset += 64
        }
        while offset < byteCount {
            if u8(at: offset) != 0 { return false }
            offset += 1
        }
        return true
    }

    /// Whether both hold the same bytes.
    package func hasSameBytes(as other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let a = mine.baseAddress, let b = theirs.baseAddress else { return true }
                return unsafe memcmp(a, b, mine.count) == 0
            }
        }
    }

    /// A copy of the bytes as an array.
    package func copied() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

/// CRC-32 of IEEE 802.3, computed by the system's zlib. The only use of that library.
package enum CRC32 {
    /// The checksum of `bytes`, going on from `previous`, the checksum of what came before.
    @inline(__always)
    package static func of(_ bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { raw in
            // zlib answers its initial value for a null pointer instead of going on.
            guard raw.count > 0 else { return previous }
            let start = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return UInt32(truncatingIfNeeded: unsafe crc32_z(UInt(previous), start, raw.count))
        }
    }

    /// What the checksum `value` becomes when `count` bytes follow, less their own share:
    /// `of(a + b) == shift(of(a), by: b.count) ^ of(b)`.
    package static func shift(_ value: UInt32, by count: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: crc32_combine(UInt(value), 0, count))
    }
}
