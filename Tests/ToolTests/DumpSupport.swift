import Foundation
import Inspection
import ProcessSupport
import SystemPackage
import TestSupport
import WAL

/// A data directory that is gone when the test is.
final class DumpFolder {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    var url: URL { directory.url }
    var path: String { directory.path.string }

    /// A data directory's topic.
    func topic(_ name: String) throws -> URL {
        URL(fileURLWithPath: try directory.makeDirectory("topics/\(name)").string)
    }
}

/// Frames made by hand from the contract and not by the code under test.
struct DumpFrame {
    var id: UInt64
    var position: UInt64 = 0
    var timestamp: UInt64 = 1_795_397_340_123_456_789
    var commitIndex: UInt32 = 0
    var presence: UInt16 = 0
    /// Everything between the fixed fields and the crc.
    var body: [UInt8] = []

    static func message(
        _ id: UInt64, _ payload: [UInt8], key: [UInt8]? = nil,
        headers: [(name: [UInt8], value: [UInt8])] = []
    ) -> DumpFrame {
        var frame = DumpFrame(id: id)
        if let key {
            frame.presence |= 1
            frame.body += little(UInt16(key.count)) + key
        }
        if !headers.isEmpty {
            frame.presence |= 2
            var block = little(UInt16(headers.count))
            for header in headers {
                block += little(UInt16(header.name.count)) + header.name
                block += little(UInt32(header.value.count)) + header.value
            }
            frame.body += little(UInt32(block.count)) + block
        }
        frame.body += payload
        return frame
    }

    static func mark(_ id: UInt64) -> DumpFrame { DumpFrame(id: id, presence: 8) }

    static func lost(_ id: UInt64, _ count: UInt64) -> DumpFrame {
        DumpFrame(id: id, presence: 4, body: little(count))
    }

    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    var bytes: [UInt8] {
        let bytes =
            DumpFrame.little(UInt32(34 + body.count)) + DumpFrame.little(id)
            + DumpFrame.little(position) + DumpFrame.little(timestamp)
            + DumpFrame.little(commitIndex) + DumpFrame.little(presence) + body
        return bytes + DumpFrame.little(CRC32.of(RawSpan(of: bytes)))
    }

    /// A segment of frames, each where it belongs.
    static func segment(_ frames: [DumpFrame], from start: UInt64 = 1_000_000) -> [UInt8] {
        var bytes: [UInt8] = []
        for var frame in frames {
            frame.position = start + UInt64(bytes.count)
            bytes += frame.bytes
        }
        return bytes
    }

    /// A message of the Go program, made by hand as well: `a` is its payload, its id its time.
    static func go(_ id: UInt64) -> [UInt8] {
        var body = little(id) + little(id) + [0, 0]
        body += little(1 as UInt32) + [0x61]
        return little(UInt32(body.count + 4)) + body + little(CRC32.of(RawSpan(of: body)))
    }

    /// What a renderer makes of it.
    func rendered(
        json: Bool = true, payload: PayloadForm = .text, following: Bool? = nil
    ) throws -> String {
        let bytes = bytes
        guard case .success(let frame) = FrameDecoder.decode(RawSpan(of: bytes)) else {
            throw DumpTestError("not a valid frame")
        }
        var renderer = FrameRenderer(
            json: json, payload: payload, topicWidth: nil, isFollowing: following != nil)
        renderer.frame(
            FrameFacts(frame, at: 38), bytes: RawSpan(of: bytes), topic: "t",
            segment: "segment.log",
            isDurable: following ?? false)
        return String(decoding: renderer.buffer.bytes.copied(), as: UTF8.self)
    }
}

struct DumpTestError: Error {
    let text: String
    init(_ text: String) { self.text = text }
}

/// The tool as a process.
final class DumpProcess {
    private let process: ChildProcess
    private let folder: DumpFolder

    /// Starts a tool, through `wrapper` if there is one (a command that runs its arguments); what
    /// it prints goes into files, so that nobody has to read meanwhile.
    init(
        _ arguments: [String], tool: String = "toymq-dump", wrapper: [String] = [],
        to output: FileHandle? = nil
    ) throws {
        let folder = try DumpFolder()
        self.folder = folder
        process = try ChildProcess(
            wrapper + [builtProgram(tool)] + arguments,
            output: output.map { .descriptor($0.fileDescriptor) }
                ?? .file(folder.path + "/output"),
            error: .file(folder.path + "/error"))
    }

    private func file(_ name: String) -> URL { folder.url.appendingPathComponent(name) }

    var output: String {
        String(decoding: (try? Data(contentsOf: file("output"))) ?? Data(), as: UTF8.self)
    }
    var error: String {
        String(decoding: (try? Data(contentsOf: file("error"))) ?? Data(), as: UTF8.self)
    }
    var lines: [String] { output.split(separator: "\n").map(String.init) }
    /// The lines that are whole, parsed.
    var objects: [[String: Any]] {
        output.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
    }
    var isRunning: Bool { process.isRunning }

    /// Waits for its end and gives its exit code; -1 if a signal ended it.
    @discardableResult
    func exit() -> Int32 {
        if case .exit(let code) = process.wait(seconds: 60) { code } else { -1 }
    }

    func interrupt() { process.signal(SIGINT) }
    func terminate() { process.signal(SIGTERM) }

    /// Waits until it has printed what is asked for; false if it ends or a minute passes first.
    func waits(until condition: (DumpProcess) -> Bool) -> Bool {
        process.comes { condition(self) }
    }

    static func run(_ arguments: String...) throws -> DumpProcess {
        let process = try DumpProcess(arguments)
        process.exit()
        return process
    }
}

extension Dictionary where Key == String, Value == Any {
    func number(_ name: String) -> UInt64? { (self[name] as? NSNumber)?.uint64Value }
    func text(_ name: String) -> String? { self[name] as? String }
}
