import Foundation
import Testing

/// Whoever may put a file beside a log may give it any name; what is printed for people is one line
/// a thing all the same, and moves no cursor.
@Suite("Names that a terminal should not see") struct OddNameTests {
    private static let odd = "evil\nclean: \u{1b}[31m\u{202e}.txt"
    private let folder: DumpFolder

    init() throws {
        folder = try DumpFolder()
        let whole = Data(DumpFrame.segment([.mark(0), .message(0, [1]), .mark(1)]))
        for name in ["a", "to\nz: clean; 5\u{1b}[31m"] {
            try whole.write(to: try folder.topic(name).appendingPathComponent("segment.log"))
        }
        for place in [folder.url, try folder.topic("a")] {
            try Data().write(to: place.appendingPathComponent(OddNameTests.odd))
        }
    }

    private func isPlain(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy {
            $0 == "\n" || $0.value >= 0x20 && $0.value != 0x7f && $0.value != 0x202e
        }
    }

    @Test func fsckPrintsOneLineAThing() throws {
        let process = try DumpProcess([folder.path], tool: "toymq-fsck")
        #expect(process.exit() == 0)
        #expect(isPlain(process.output), "\(process.output)")
        // The topic, its odd file; the odd file beside topics, the log that nobody serves; the end.
        #expect(process.lines.count == 5, "\(process.output)")
        #expect(!process.lines.contains { $0.hasPrefix("clean: ") || $0.hasPrefix("z: ") })
        #expect(process.output.contains("evil\\nclean: \\x1b[31m\\u{202e}.txt"))
    }

    @Test func dumpPrintsThemBehindAHash() throws {
        let process = try DumpProcess([folder.path])
        #expect(process.exit() == 0)
        #expect(isPlain(process.output), "\(process.output)")
        #expect(process.lines.filter { !$0.hasPrefix("#") }.count == 1, "\(process.output)")
    }

    @Test func errorsAreOneLine() throws {
        for tool in ["toymq-fsck", "toymq-dump"] {
            let process = try DumpProcess([folder.path + "/no\nsuch\u{1b}"], tool: tool)
            #expect(process.exit() != 0)
            #expect(isPlain(process.error))
            #expect(process.error.split(separator: "\n").count == 1, "\(process.error)")
        }
    }
}
