import Foundation
import Testing
import WAL

/// `--follow` and damage: what a plain dump goes past, a follower goes past as well.
@Suite("Dump: following past damage", .serialized, .timeLimit(.minutes(10)))
struct DumpFollowDamageTests {
    /// Frames and damaged places of a segment; `commitIndex` is 0, so each frame proves all before.
    private enum Part {
        case frame(DumpFrame)
        case bytes([UInt8])
    }

    private static func segment(_ parts: [Part]) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            switch part {
            case .frame(var frame):
                frame.position = 1_000_000 + UInt64(bytes.count)
                bytes += frame.bytes
            case .bytes(let raw): bytes += raw
            }
        }
        return bytes
    }

    private static func messages(_ ids: ClosedRange<UInt64>) -> [Part] {
        ids.map { .frame(.message($0, Array("message \($0)".utf8))) }
    }

    private static let garbage = Part.bytes([UInt8](repeating: 0xee, count: 60))
    private static let hole = Part.bytes([UInt8](repeating: 0, count: 60))

    private func put(_ parts: [Part], _ file: URL) throws {
        let bytes = Data(DumpFollowDamageTests.segment(parts))
        if let handle = try? FileHandle(forWritingTo: file) {
            try handle.write(contentsOf: bytes)
            try handle.close()
        } else {
            try bytes.write(to: file)
        }
    }

    private func ids(_ process: DumpProcess) -> [UInt64] {
        process.objects.compactMap { $0.text("finding") == nil ? $0.number("id") : nil }
    }

    private func findings(_ process: DumpProcess) -> [String] {
        process.objects.compactMap { $0.text("finding") }
    }

    private func end(_ process: DumpProcess) -> Int32 {
        process.interrupt()
        return process.exit()
    }

    @Test(arguments: [(false, "bad-length"), (true, "zero-hole")])
    func damageThatIsThereIsPassed(isHole: Bool, kind: String) throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        let damage = isHole ? DumpFollowDamageTests.hole : DumpFollowDamageTests.garbage
        var parts = [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...3) + [damage]
        // Nothing behind it proves the last one.
        parts += DumpFollowDamageTests.messages(5...5)
        try put(parts, file)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { ids($0) == [0, 1, 2, 3, 5] })
        parts += DumpFollowDamageTests.messages(6...8)
        try put(parts, file)
        #expect(process.waits { ids($0) == [0, 1, 2, 3, 5, 6, 7, 8] })
        #expect(findings(process) == [kind])
        #expect(end(process) == 1)
        #expect(process.error == "")
    }

    @Test func damageThatIsProvedLaterIsToldOnceAndPassed() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        var parts = [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...3)
        try put(parts, file)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { ids($0) == [0, 1, 2, 3] })
        parts.append(DumpFollowDamageTests.garbage)
        // A frame of the same commit proves nothing: it may be written whole one day.
        var sibling = DumpFrame.message(5, Array("message 5".utf8))
        sibling.commitIndex = 1
        try put(parts + [.frame(sibling)], file)
        let topic = try folder.topic("b").appendingPathComponent("segment.log")
        try put([.frame(.mark(0))] + DumpFollowDamageTests.messages(0...0), topic)
        // A new topic is looked for after the other one, many times.
        #expect(process.waits { ids($0) == [0, 1, 2, 3, 0] })
        #expect(findings(process) == [])
        parts += DumpFollowDamageTests.messages(5...6)
        try put(parts, file)
        #expect(process.waits { ids($0) == [0, 1, 2, 3, 0, 5, 6] })
        #expect(findings(process) == ["bad-length"])
        parts += [DumpFollowDamageTests.hole] + DumpFollowDamageTests.messages(9...9)
        try put(parts, file)
        #expect(process.waits { ids($0) == [0, 1, 2, 3, 0, 5, 6, 9] })
        #expect(findings(process) == ["bad-length", "zero-hole"])
        #expect(end(process) == 1)
    }

    @Test func aSegmentWithoutItsMarkIsFollowed() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        let nothing = Part.bytes([UInt8](repeating: 0xee, count: 38))
        var parts = [nothing] + DumpFollowDamageTests.messages(0...2)
        try put(parts, file)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { ids($0) == [0, 1, 2] })
        parts += DumpFollowDamageTests.messages(3...3)
        try put(parts, file)
        #expect(process.waits { ids($0) == [0, 1, 2, 3] })
        #expect(findings(process) == ["bad-length"])
        #expect(end(process) == 1)
    }

    @Test func damageInASegmentThatWasSealedIsPassed() throws {
        let folder = try DumpFolder()
        let topic = try folder.topic("a")
        let file = topic.appendingPathComponent("segment.log")
        var parts = [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...1)
        try put(parts, file)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { ids($0) == [0, 1] })
        parts += [DumpFollowDamageTests.garbage] + DumpFollowDamageTests.messages(3...4)
        parts += [DumpFollowDamageTests.garbage]
        try put(parts, file)
        let sealed = topic.appendingPathComponent("00000000000000000000.log")
        #expect(rename(file.path, sealed.path) == 0)
        let whole = DumpFollowDamageTests.segment(parts)
        var next = DumpFrame.mark(6)
        next.position = 1_000_000 + UInt64(whole.count)
        var message = DumpFrame.message(6, [])
        message.position = next.position + 38
        let new = topic.appendingPathComponent("new")
        try Data(next.bytes + message.bytes).write(to: new)
        #expect(rename(new.path, file.path) == 0)
        #expect(process.waits { ids($0).last == 6 })
        #expect(ids(process) == [0, 1, 3, 4, 6])
        // Once each, whatever the file was named when it was told.
        #expect(findings(process) == ["bad-length", "bad-length"])
        #expect(end(process) == 1)
    }

    @Test func aLaterVersionsFrameIsTold() throws {
        let folder = try DumpFolder()
        let file = try folder.topic("a").appendingPathComponent("segment.log")
        var parts = [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...1)
        try put(parts, file)
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { ids($0) == [0, 1] })
        var newer = DumpFrame.message(2, [])
        newer.presence = 0x4000
        parts.append(.frame(newer))
        try put(parts, file)
        #expect(process.waits { findings($0) == ["unknown-field"] })
        #expect(end(process) == 1)
    }

    /// Has the follower look once more: a message of another topic is there, and was shown.
    private func lookAgain(_ process: DumpProcess, _ folder: DumpFolder) throws {
        let file = try folder.topic("other").appendingPathComponent("segment.log")
        try put([.frame(.mark(70)), .frame(.message(70, []))], file)
        #expect(process.waits { ids($0).last == 70 })
    }

    @Test func behindALaterVersionsFrameNothingIsTold() throws {
        let folder = try DumpFolder()
        let topic = try folder.topic("a")
        var newer = DumpFrame.message(1, [])
        newer.presence = 0x4000
        let parts = [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...0) + [.frame(newer)]
        try put(parts, topic.appendingPathComponent("00000000000000000000.log"))
        let size = DumpFollowDamageTests.segment(parts).count
        var next = DumpFrame.mark(2)
        next.position = 1_000_000 + UInt64(size)
        var message = DumpFrame.message(2, [])
        message.position = next.position + 38
        try Data(next.bytes + message.bytes).write(to: topic.appendingPathComponent("segment.log"))
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { findings($0) == ["unknown-field"] })
        try lookAgain(process, folder)
        #expect(ids(process) == [0, 70])
        #expect(findings(process) == ["unknown-field"])
        #expect(end(process) == 1)
    }

    @Test func whatASurveyHasShownTheNextOneDoesNotShowAgain() throws {
        let folder = try DumpFolder()
        let topic = try folder.topic("a")
        try put(
            [.frame(.mark(0))] + DumpFollowDamageTests.messages(0...1),
            topic.appendingPathComponent("00000000000000000000.log"))
        for name in ["00000000000000000020.log", "segment.log"] {
            try put([DumpFollowDamageTests.garbage], topic.appendingPathComponent(name))
        }
        let process = try DumpProcess([folder.path, "--json", "--follow"])
        #expect(process.waits { findings($0).count == 3 })
        try lookAgain(process, folder)
        #expect(ids(process) == [0, 1, 70])
        #expect(findings(process).count == 3)
        #expect(end(process) == 1)
    }
}
