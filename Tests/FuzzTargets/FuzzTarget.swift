import WAL

/// What is fuzzed. Each takes any bytes and says which of its invariants they break, if any.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// One frame: the decoder.
    case frame
    /// One or two segments: the examination of a log.
    case segment
    /// The same, repaired and undone.
    case salvage
    /// One or two segments of the Go program.
    case go
    /// offsets.json, of this program and of the Go program.
    case offsets
    /// A stream of commands, or of replies.
    case wire

    /// Inputs to begin with that are made by hand; most targets get theirs from a corpus.
    package var seeds: [[UInt8]] { self == .wire ? WireTarget.seeds : [] }

    /// Runs `bytes` through the code: the invariant that does not hold, or nil. It may also trap,
    /// which is a finding, too.
    package func brokenInvariant(_ bytes: [UInt8]) -> String? {
        do {
            switch self {
            case .frame: try FrameTarget.check(bytes)
            case .segment: try SegmentTarget.check(bytes)
            case .salvage: try SalvageTarget.check(bytes)
            case .go: try GoTarget.check(bytes)
            case .offsets: try OffsetsTarget.check(bytes)
            case .wire: try WireTarget.check(bytes)
            }
            return nil
        } catch let broken as BrokenInvariant {
            return broken.text
        } catch {
            return "an error that no input may cause: \(error)"
        }
    }
}

/// An invariant that did not hold.
struct BrokenInvariant: Error {
    let text: String
}

/// Throws unless `holds`.
func require(_ holds: Bool, _ text: @autoclosure () -> String) throws(BrokenInvariant) {
    if !holds { throw BrokenInvariant(text: text()) }
}
