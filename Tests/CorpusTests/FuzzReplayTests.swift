import Corpus
import Foundation
import FuzzTargets
import Testing
import WAL
import WALTestSupport

/// The fuzz targets without a fuzzer: the generated corpus, what fuzzers have found before, and
/// mutations of both.
@Suite struct FuzzReplayTests {
    private static let regressions = Golden.fixtures.appendingPathComponent("regressions")

    private func corpus(_ target: FuzzTarget, seed: UInt64) -> [[UInt8]] {
        if target == .frame {
            return FrameSeed.kinds.indices.map { FrameSeed.seed(seed, number: $0).bytes }
        }
        if !target.seeds.isEmpty { return target.seeds }
        return ImageKinds.names.indices.flatMap { number -> [[UInt8]] in
            let image = ImageKinds.image(seed: seed, number: number)
            var files: [String: [UInt8]] = [:]
            for file in image.files {
                files[String(file.path.split(separator: "/").last ?? "")] = file.bytes
            }
            return Packing.inputs(of: files).filter { $0.target == target }.map(\.bytes)
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func whatFuzzersHaveFoundBreaksNothingAnyMore(_ target: FuzzTarget) throws {
        let folder = FuzzReplayTests.regressions.appendingPathComponent(target.rawValue)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names {
            let data = try Data(contentsOf: folder.appendingPathComponent(name))
            let broken = target.brokenInvariant(Array(data))
            #expect(broken == nil, "\(target.rawValue)/\(name)")
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func theGeneratedCorpusBreaksNothing(_ target: FuzzTarget) {
        for seed in 1...3 as ClosedRange<UInt64> {
            let inputs = corpus(target, seed: seed)
            #expect(!inputs.isEmpty)
            for bytes in inputs {
                let broken = target.brokenInvariant(bytes)
                #expect(broken == nil, "seed \(seed)")
            }
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func mendedMutationsBreakNothing(_ target: FuzzTarget) {
        // The same each time, so that a change shows; a new one in a long run.
        let seed = isLongRun ? UInt64.random(in: 0 ... .max) : 1
        var random = SeededRandom(seed)
        let inputs = corpus(target, seed: 1)
        for round in 0..<(isLongRun ? 20_000 : 600) {
            var bytes = random.one(of: inputs)
            for _ in 0..<random.within(1...4) where !bytes.isEmpty {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] ^= 1 << UInt8(random.below(8))
                case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + random.below(50)))
                default:
                    let end = min(bytes.count, place + random.below(80))
                    bytes.insert(contentsOf: bytes[place..<end], at: random.below(place + 1))
                }
            }
            Mending.mend(&bytes, for: target, seed: random.next())
            let broken = target.brokenInvariant(bytes)
            #expect(broken == nil, "seed \(seed), round \(round)")
            if broken != nil { return }
        }
    }

    @Test func mendingMakesTheChecksumHoldAgain() {
        var mended = 0
        for number in 0..<FrameSeed.kinds.count * 10 {
            var bytes = FrameSeed.seed(11, number: number).bytes
            guard bytes.count >= 38 else { continue }
            bytes[5] ^= 0xFF
            Mending.mend(&bytes, for: .frame, seed: 1)
            switch FrameDecoder.decode(RawSpan(of: bytes)) {
            case .failure(.crc), .failure(.length): break
            default: mended += 1
            }
        }
        #expect(mended >= FrameSeed.kinds.count * 6)
    }

    @Test func aVerdictThatItsFindingsContradictIsNoticed() throws {
        let sizes: [String: UInt64] = ["segment.log": 100]
        func finding(_ kind: LogFinding.Kind, length: UInt64 = 10) -> LogFinding {
            LogFinding(
                kind, segment: "segment.log", offset: 90, length: length, detail: "", evidence: "")
        }
        let wrong: [(Verdict, [LogFinding])] = [
            (.clean, [finding(.tornTail)]), (.torn, []), (.damaged, [finding(.tornTail)]),
            (.newer, [finding(.unknownField), finding(.badCRC)]), (.zeroTail, []),
            (.torn, [finding(.tornTail), finding(.badID)]),
            (.torn, [finding(.tornTail, length: 11)]),
        ]
        for (verdict, findings) in wrong {
            #expect(throws: (any Error).self) {
                try FindingRules.check(verdict: verdict, findings: findings, sizes: sizes)
            }
        }
        try FindingRules.check(verdict: .torn, findings: [finding(.tornTail)], sizes: sizes)
    }
}
