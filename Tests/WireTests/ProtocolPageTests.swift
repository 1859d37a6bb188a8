import TestSupport
import Testing
import Wire

/// What docs/PROTOCOL.md says in tables is what the code does.
@Suite("The page of the protocol")
struct ProtocolPageTests {
    /// The first cells of a table.
    private func cells(_ name: String) throws -> [String] {
        try Document.table(name, of: "docs/PROTOCOL.md").map { $0[0].unquoted }
    }

    @Test("every error is in the table, and nothing else")
    func errors() throws {
        #expect(try cells("errors") == ErrorCode.allCases.map(\.rawValue))
    }

    @Test("every command of the table is understood, with and without its options")
    func commands() throws {
        let examples = [
            "PUB": "PUB t - 0\n\n", "SUB": "SUB t c\n", "ACK": "ACK c 0\n", "NACK": "NACK c 0\n",
            "HELLO": "HELLO 2\n", "PING": "PING\n", "INFO": "INFO\n", "QUIT": "QUIT\n",
        ]
        let verbs = try cells("commands").map { String($0.prefix { $0 != " " }) }
        #expect(Set(verbs) == Set(examples.keys))
        for verb in verbs {
            let text = try #require(examples[verb])
            let heard = heard(text)
            #expect(heard.count == 2 && heard.last == .rest(.clean), "\(verb)")
        }
    }
}
