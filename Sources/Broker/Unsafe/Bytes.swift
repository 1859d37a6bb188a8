// The one file of this module that the compiler cannot check.

extension RawSpan {
    /// The bytes of an array.
    @_lifetime(borrow array)
    init(of array: borrowing [UInt8]) {
        let span = unsafe array.span.bytes
        self = unsafe _overrideLifetime(span, borrowing: array)
    }

    /// A copy of its bytes.
    func copied() -> [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}
