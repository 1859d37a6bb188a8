package import DataDirectory
internal import Inspection
internal import WAL

/// What the files of a corpus are and what each has to give, as JSON.
package enum Manifest {
    /// One image: `{"image", "kind", "dialect", "verdict", "exit", "next_id", "durable_below",
    /// "findings", "intact"}`.
    package static func write(
        _ image: CrashImage, path: String?, seed: UInt64? = nil, _ json: inout JSONWriter
    ) {
        let told = image.expectation
        json.beginObject()
        if let path {
            json.name("image")
            json.string(path)
        }
        json.name("kind")
        json.string(image.kind)
        if let seed {
            json.name("seed")
            json.integer(seed)
        }
        json.name("dialect")
        json.string(image.isGo ? "go" : "native")
        json.name("verdict")
        json.string(told.verdict.rawValue)
        json.name("exit")
        json.integer(UInt64(told.exitCode))
        number("next_id", told.nextID, &json)
        number("durable_below", told.durableBelow, &json)
        json.name("findings")
        json.beginArray()
        for finding in told.findings { write(finding, &json) }
        json.endArray()
        json.name("intact")
        json.beginArray()
        for id in told.intact { json.integer(id) }
        json.endArray()
        json.endObject()
    }

    /// One seed: `{"frame", "kind", "verdict", "findings", "intact"}`.
    static func write(_ seed: FrameSeed, path: String, _ json: inout JSONWriter) {
        json.beginObject()
        json.name("frame")
        json.string(path)
        json.name("kind")
        json.string(seed.kind)
        json.name("verdict")
        json.string(
            seed.fault.map { $0 == .unknownField ? "newer" : "damaged" } ?? "clean")
        json.name("findings")
        json.beginArray()
        if let fault = seed.fault {
            json.beginObject()
            json.name("finding")
            json.string(fault.rawValue)
            json.name("severity")
            json.string(fault.severity.rawValue)
            json.endObject()
        }
        json.endArray()
        json.name("intact")
        json.beginArray()
        if let id = seed.intact { json.integer(id) }
        json.endArray()
        json.endObject()
    }

    private static func write(_ finding: Expectation.Finding, _ json: inout JSONWriter) {
        json.beginObject()
        json.name("finding")
        json.string(finding.kind.rawValue)
        json.name("severity")
        json.string(finding.kind.severity.rawValue)
        json.name("segment")
        json.string(finding.segment)
        if let offset = finding.offset {
            json.name("offset")
            json.integer(offset)
        }
        if let length = finding.length {
            json.name("length")
            json.integer(length)
        }
        if let lost = finding.lost {
            json.name("lost")
            json.beginArray()
            json.beginArray()
            json.integer(lost.lowerBound)
            json.integer(lost.upperBound)
            json.endArray()
            json.endArray()
        }
        json.endObject()
    }

    private static func number(_ name: StaticString, _ value: UInt64?, _ json: inout JSONWriter) {
        json.name(name)
        if let value { json.integer(value) } else { json.null() }
    }
}
