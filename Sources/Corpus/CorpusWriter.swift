internal import DataDirectory
package import SystemPackage
package import WAL

/// Why a corpus was not written.
package enum CorpusError: Error, Hashable, Sendable, CustomStringConvertible {
    case io(DiskError)
    case notEmpty(FilePath)
    case notADirectory(FilePath)

    package var description: String {
        switch self {
        case .io(let error): "\(error)"
        case .notEmpty(let path):
            "\(path) is not empty; name a directory that is, or one that is not there yet"
        case .notADirectory(let path): "\(path) is a file; name a directory"
        }
    }
}

/// Writes a corpus: seeds for a parser under `frames`, images under `images`, `frame.dict`, and
/// `manifest.json`, which comes last.
package struct CorpusWriter {
    private let root: FilePath
    private let disk: any Disk
    private let seed: UInt64
    private let count: Int

    /// - Parameters:
    ///   - count: how many seeds there are, and how many images.
    package init(_ root: FilePath, seed: UInt64, count: Int, on storage: Storage) {
        self.root = root
        self.seed = seed
        self.count = count
        disk = storage.disk
    }

    /// Writes all of it into a directory that is empty or not there. Blocks.
    package func run() throws(CorpusError) {
        let found: (kind: DirectoryEntry.Kind?, isEmpty: Bool)
        do {
            let kind = try disk.status(root)?.kind
            found = (kind, kind == .directory ? try disk.list(root).isEmpty : true)
        } catch {
            throw .io(error)
        }
        if let kind = found.kind, kind != .directory { throw .notADirectory(root) }
        guard found.isEmpty else { throw .notEmpty(root) }
        do {
            if found.kind == nil { try disk.makeDirectory(root) }
            try writeAll()
        } catch {
            throw .io(error)
        }
    }

    private func writeAll() throws(DiskError) {
        var json = JSONWriter(capacity: 65_536, spaced: true)
        json.beginObject()
        json.name("version")
        json.integer(1)
        json.name("seed")
        json.integer(seed)
        json.name("count")
        json.integer(count)
        json.name("frames")
        try writeFrames(&json)
        json.name("images")
        try writeImages(&json)
        json.endObject()
        json.newline()
        try write(Array(FuzzDictionary.text.utf8), to: "frame.dict")
        try write(json.finish().bytes.copied(), to: "manifest.json")
    }

    private func writeFrames(_ json: inout JSONWriter) throws(DiskError) {
        try disk.makeDirectory(root.appending("frames"))
        json.beginArray()
        for number in 0..<count {
            let frame = FrameSeed.seed(seed, number: number)
            let path = "frames/\(CorpusWriter.name(number, frame.kind))"
            try write(frame.bytes, to: path)
            Manifest.write(frame, path: path, &json)
        }
        json.endArray()
    }

    private func writeImages(_ json: inout JSONWriter) throws(DiskError) {
        try disk.makeDirectory(root.appending("images"))
        json.beginArray()
        for number in 0..<count {
            let image = ImageKinds.image(seed: seed, number: number)
            let path = "images/\(CorpusWriter.name(number, image.kind))"
            try CorpusWriter.write(image, to: root.appending(path), on: disk)
            Manifest.write(image, path: path, &json)
        }
        json.endArray()
    }

    /// Makes a data directory of an image.
    package static func write(
        _ image: CrashImage, to directory: FilePath, on disk: any Disk
    ) throws(DiskError) {
        let topics = directory.appending("topics")
        for made in [directory, topics, topics.appending(CrashImage.topic)] {
            try disk.makeDirectory(made)
        }
        for file in image.files {
            try write(file.bytes, at: directory.appending(file.path), on: disk)
        }
    }

    private func write(_ bytes: [UInt8], to name: String) throws(DiskError) {
        try CorpusWriter.write(bytes, at: root.appending(name), on: disk)
    }

    private static func write(
        _ bytes: [UInt8], at path: FilePath, on disk: any Disk
    ) throws(DiskError) {
        let file = try disk.open(path, .createNew)
        defer { file.close() }
        try file.writeAll(RawSpan(of: bytes), at: 0)
    }

    /// Sorted by name is sorted by number.
    private static func name(_ number: Int, _ kind: String) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + "-" + kind
    }
}
