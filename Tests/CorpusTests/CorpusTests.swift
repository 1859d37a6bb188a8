import Corpus
import Foundation
import FuzzTargets
import Inspection
import Testing
import WAL
import WALTestSupport

/// What a corpus says of its images is what the tools say of them, and the same seed gives the same
/// bytes.
@Suite struct CorpusTests {
    /// Each image of a seed that does not give what it has to.
    private func disagreements(seed: UInt64, count: Int) throws -> [String] {
        try (0..<count).compactMap { number in
            let image = ImageKinds.image(seed: seed, number: number)
            let lines = try Seen(image).differences(from: image.expectation)
            if lines.isEmpty { return nil }
            return "seed \(seed), image \(number), \(image.kind): "
                + lines.joined(separator: "; ")
        }
    }

    @Test func everyImageGivesWhatWasForetoldFromItsMaking() throws {
        let count = ImageKinds.names.count
        for seed in 1...UInt64(isLongRun ? 400 : 12) {
            for text in try disagreements(seed: seed, count: count) {
                Issue.record("\(text)")
            }
        }
    }

    @Test func everyFindingSaysWhyInOneSentence() throws {
        var kinds: Set<FindingKind> = []
        for seed in 1...UInt64(3) {
            for number in 0..<ImageKinds.names.count {
                let image = ImageKinds.image(seed: seed, number: number)
                for (kind, text) in try Seen(image).evidence {
                    kinds.insert(kind)
                    #expect(!text.isEmpty, "\(image.kind): \(kind.rawValue)")
                    #expect(!text.contains(". ") && !text.contains("\n"), "\(text)")
                }
            }
        }
        #expect(kinds == Set(FindingKind.allCases))
    }

    @Test func freshSeedsAreForetoldAsWell() throws {
        let seed = UInt64.random(in: 1000...(.max / 2))
        for text in try disagreements(seed: seed, count: ImageKinds.names.count * 2) {
            Issue.record("\(text)")
        }
    }

    @Test func everyFrameSeedIsWhatItIsSaidToBe() {
        for number in 0..<FrameSeed.kinds.count * 40 {
            let seed = FrameSeed.seed(7, number: number)
            let bytes = seed.bytes
            let fault: FindingKind? =
                switch FrameDecoder.decode(RawSpan(of: bytes)) {
                case .success: nil
                case .failure(.length): .badLength
                case .failure(.crc): .badCRC
                case .failure(.newer): .unknownField
                case .failure(.inner): .badInner
                }
            #expect(fault == seed.fault, "\(seed.kind), number \(number)")
            if case .success(let frame) = FrameDecoder.decode(RawSpan(of: bytes)) {
                #expect((frame.isMessage ? frame.fields.id : nil) == seed.intact, "\(seed.kind)")
            }
        }
    }

    @Test func theSameSeedGivesTheSameBytesOnAnyMachine() {
        var crc: UInt32 = 0
        func add(_ bytes: [UInt8]) { crc = CRC32.of(RawSpan(of: bytes), continuing: crc) }
        for number in 0..<ImageKinds.names.count * 2 {
            for file in ImageKinds.image(seed: 20_261_123, number: number).files {
                add(Array(file.path.utf8))
                add(file.bytes)
            }
        }
        for number in 0..<FrameSeed.kinds.count * 2 {
            add(FrameSeed.seed(20_261_123, number: number).bytes)
        }
        add(Array(FuzzDictionary.text.utf8))
        #expect(crc == 0x1D70_648C, "0x\(String(crc, radix: 16))")
    }

    @Test func thereIsAnImageForEachRowOfTheTableAndEachFinding() throws {
        let kinds = Set(ImageKinds.names)
        #expect(kinds.count == ImageKinds.names.count, "a name stands twice")
        for row in VerdictTable.rows {
            let image = try #require(ImageKinds.image(seed: 3, kind: row.label), "\(row.label)")
            #expect(image.expectation.verdict == row.verdict, "\(row.label)")
        }
        for finding in FindingKind.allCases {
            for seed in 1...10 as ClosedRange<UInt64> {
                let image = try #require(
                    ImageKinds.image(seed: seed, kind: finding.rawValue), "\(finding)")
                #expect(
                    image.expectation.findings.contains { $0.kind == finding },
                    "\(finding), seed \(seed)")
            }
        }
    }

    @Test func theDictionaryIsReadableByFuzzers() {
        for line in FuzzDictionary.text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: "=", maxSplits: 1)
            #expect(parts.count == 2 && parts[1].hasPrefix("\"") && parts[1].hasSuffix("\""))
            #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        }
    }
}
