// Bytes between the log, which takes raw spans, and the protocol: with DirectOutput.swift all that the
// compiler cannot check.

import Glibc

extension Span<UInt8> {
    /// The same bytes, as the log takes them.
    var raw: RawSpan {
        @_lifetime(copy self)
        get { unsafe bytes }
    }
}

extension RawSpan {
    /// A copy of its bytes.
    func copied() -> [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

extension String {
    /// What the system calls an error.
    init(errorNumber: Int32) { self = unsafe String(cString: strerror(errorNumber)) }
}
