// Bytes between the log, which takes raw spans, and the protocol, and a system call: with
// DirectOutput.swift all that the compiler cannot check.

import Glibc
import NIOCore

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

/// The two ends of a new pipe, that to read from first: pipe(2).
func pipeEnds() throws(IOError) -> [CInt] {
    var ends: [CInt] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw IOError(errnoCode: errno, reason: "pipe") }
    return ends
}
