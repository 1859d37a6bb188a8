import SystemPackage
import Testing
import WALTestSupport

@testable import WAL

private enum Outcome { case stopped, end }

private func walk(_ file: any DiskFile, limit: Int) throws(LogError) -> Outcome {
    var walker = FrameWalker(file, to: 38)
    var count = 0
    while count < limit {
        let step: FrameWalker.Step
        do {
            step = try walker.next(id: nil, base: nil)
        } catch { throw .unreadable(error) }
        switch step {
        case .frame(let frame):
            count += frame.bytes > 0 ? 1 : 2
        case .end: return .end
        case .broken: throw .closed
        }
    }
    return .stopped
}

private struct Place {
    var segment: Segment
    var file: (any DiskFile)?
}

private struct Holder: ~Copyable {
    var place: Place?
    mutating func a() { place?.file = nil }
    mutating func b() -> Bool {
        guard let here = place, let file = here.file else { return false }
        return file.path.string.isEmpty
    }
    mutating func c() -> Segment? {
        let x = place.map { ($0.segment, 1) }
        return x?.0
    }
    mutating func d() {
        guard var here = place, let file = here.file else { return }
        defer { place = here }
        here.file = file
    }
}

@Suite struct ZZDebugTests {
    @Test func descriptors() throws {
        let fixture = LogFixture()
        let log = try fixture.open()
        let segment = log.core.state.withLock { $0.segments[0].segment }
        print("read start", fixture.disk.descriptors)
        for limit in [1, 2] {
            print("read", try walk(fixture.disk.open("/l/segment.log", .read), limit: limit))
            print("read", fixture.disk.descriptors)
        }
        for test in ["a", "b", "c", "d", "e"] {
            var holder = Holder(
                place: Place(
                    segment: segment, file: try fixture.disk.open("/l/segment.log", .read)))
            switch test {
            case "a": holder.a()
            case "b": _ = holder.b()
            case "c": _ = holder.c()
            case "d": holder.d()
            default: break
            }
            print("read", test, fixture.disk.descriptors)
            _ = consume holder
            print("read", test, fixture.disk.descriptors)
        }
        try log.close()
    }
}
