package import Inspection
package import WAL

/// What an image has to give, known from how it was made.
package struct Expectation: Hashable, Sendable {
    /// A finding. What the contract does not settle is nil and not compared.
    package struct Finding: Hashable, Sendable {
        package var kind: FindingKind
        package var segment: String
        package var offset: UInt64?
        package var length: UInt64?
        package var lost: ClosedRange<UInt64>?

        package init(
            _ kind: FindingKind, _ segment: String, _ offset: UInt64? = nil,
            _ length: UInt64? = nil, lost: ClosedRange<UInt64>? = nil
        ) {
            self.kind = kind
            self.segment = segment
            self.offset = offset
            self.length = length
            self.lost = lost
        }
    }

    package var verdict = Verdict.clean
    package var findings: [Finding] = []
    /// The ids of the messages that can be read, in the order of the log.
    package var intact: [UInt64] = []
    package var nextID: UInt64?
    /// Nil where the dialect has no evidence.
    package var durableBelow: UInt64?

    package init() {}

    /// The exit code of toymq-fsck: 4 for anything worse than a remark, 64 if messages that were
    /// known durable are lost.
    package var exitCode: Int32 {
        var code: Int32 = 0
        for finding in findings where finding.kind.severity > .remark {
            code |= 4
            guard finding.kind.severity == .damage, let lost = finding.lost else { continue }
            if durableBelow.map({ lost.lowerBound < $0 }) ?? true { code |= 64 }
        }
        return code
    }
}
