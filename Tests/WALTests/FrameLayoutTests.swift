import Testing
import WALTestSupport

@testable import WAL

/// The numbers of the format agree with each other and with the contract.
@Suite struct FrameLayoutTests {
    @Test func fixedFieldsFollowEachOtherWithoutGaps() {
        let fields = [
            (FrameLayout.length, 4), (FrameLayout.id, 8), (FrameLayout.position, 8),
            (FrameLayout.timestamp, 8), (FrameLayout.commitIndex, 4), (FrameLayout.presence, 2),
        ]
        var offset = 0
        for (start, size) in fields {
            #expect(start == offset)
            offset += size
        }
        #expect(offset == FrameLayout.fixedBytes)
    }

    @Test func theSmallestFrameIsFixedFieldsAndChecksum() {
        #expect(FrameLayout.smallestFrame == FrameLayout.fixedBytes + FrameLayout.crcBytes)
        #expect(FrameLayout.smallestFrame == 38)
    }

    @Test func theBoundsOfTheLengthAreThoseOfAFrame() {
        let lengths = FrameLayout.lengths
        #expect(lengths == 34...4_194_300)
        #expect(FrameLayout.largestFrame == 4 * 1024 * 1024)
        #expect(FrameLayout.frameBytes(length: lengths.lowerBound) == FrameLayout.smallestFrame)
        #expect(FrameLayout.frameBytes(length: lengths.upperBound) == FrameLayout.largestFrame)
        for length in [0, 1, 33, 4_194_301, 1 << 31, UInt32.max] {
            #expect(FrameLayout.frameBytes(length: length) == nil)
        }
    }

    @Test func presenceBitsAreTheOnesGivenOut() {
        #expect(Presence.key.rawValue == 1)
        #expect(Presence.headers.rawValue == 2)
        #expect(Presence.lost.rawValue == 4)
        #expect(Presence.mark.rawValue == 8)
        for bits in UInt16.min...UInt16.max {
            #expect(Presence(rawValue: bits).isNewer == (bits & 0xFFF0 != 0))
        }
    }

    @Test func firstPositionsLeaveRoomForTheLifeOfALog() {
        #expect(FrameLayout.firstPositionLimit == 1 << 62)
    }
}
