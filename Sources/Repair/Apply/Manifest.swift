internal import DataDirectory
internal import SystemPackage
internal import WAL

/// What a repair changes, written down before it changes anything: what undoing needs.
struct Manifest: Sendable {
    struct Entry: Hashable, Sendable {
        /// Below the directory that lost+found is in.
        var file: String
        /// Below the directory of the manifest; nil if there was no such file.
        var kept: String?
        var old: Print?
        /// Nil if the repair takes the file away.
        var new: Print?
    }

    static let fileName = "manifest.json"
    /// The largest that is read, in bytes.
    private static let byteLimit: UInt64 = 64 << 20

    var path: String
    var entries: [Entry] = []

    func render() -> ByteBuffer {
        var json = JSONWriter(capacity: 4096, spaced: true)
        json.beginObject()
        json.name("version")
        json.integer(UInt64(1))
        json.name("path")
        json.string(path)
        json.name("files")
        json.beginArray()
        for entry in entries {
            json.beginObject()
            json.name("file")
            json.string(entry.file)
            json.name("kept")
            if let kept = entry.kept { json.string(kept) } else { json.null() }
            json.name("old")
            Manifest.write(entry.old, &json)
            json.name("new")
            Manifest.write(entry.new, &json)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        json.newline()
        return json.finish()
    }

    private static func write(_ print: Print?, _ json: inout JSONWriter) {
        guard let print else { return json.null() }
        json.beginObject()
        json.name("size")
        json.integer(print.size)
        json.name("hash")
        json.integer(print.hash)
        json.endObject()
    }

    // MARK: Reading

    /// Reads the manifest of a directory that a repair made.
    static func load(_ directory: FilePath, on disk: any Disk) throws(RepairError) -> Manifest {
        let path = directory.appending(fileName)
        var bytes = ByteBuffer()
        do {
            guard try disk.status(path)?.kind == .file else {
                throw RepairError.noManifest(directory, "it has no \(fileName)")
            }
            let file = try disk.open(path, .read)
            defer { file.close() }
            let size = try file.status().size
            guard size <= byteLimit else {
                throw RepairError.noManifest(directory, "\(fileName) has \(size) bytes")
            }
            _ = try file.readFully(at: 0, count: Int(size), into: &bytes)
        } catch { throw RepairError(error) }
        do {
            return try parse(bytes.bytes)
        } catch {
            throw .noManifest(directory, "\(fileName): \(error)")
        }
    }

    static func parse(_ bytes: RawSpan) throws(JSONError) -> Manifest {
        var reader = try JSONReader(bytes)
        var manifest = Manifest(path: "")
        try reader.beginObject()
        while let name = try reader.nextMember() {
            switch name {
            case "version":
                guard try reader.integer() == 1 else {
                    throw JSONError(
                        offset: reader.itemOffset, reason: .meaning("another version wrote it"))
                }
            case "path": manifest.path = try reader.string()
            case "files":
                try reader.beginArray()
                while try reader.nextElement() { manifest.entries.append(try entry(&reader)) }
            default: _ = try reader.value()
            }
        }
        try reader.end()
        return manifest
    }

    private static func entry(_ reader: inout JSONReader) throws(JSONError) -> Entry {
        var entry = Entry(file: "")
        try reader.beginObject()
        while let name = try reader.nextMember() {
            switch name {
            case "file": entry.file = try relative(&reader)
            case "kept": entry.kept = reader.null() ? nil : try relative(&reader)
            case "old": entry.old = try print(&reader)
            case "new": entry.new = try print(&reader)
            default: _ = try reader.value()
            }
        }
        guard !entry.file.isEmpty, (entry.kept == nil) == (entry.old == nil) else {
            throw JSONError(offset: reader.offset, reason: .meaning("a file without its name"))
        }
        return entry
    }

    /// A path that leads downwards only.
    private static func relative(_ reader: inout JSONReader) throws(JSONError) -> String {
        let start = reader.offset
        let text = try reader.string()
        let path = FilePath(text)
        guard !path.isAbsolute, !path.isEmpty, path.components.allSatisfy({ $0.kind == .regular })
        else {
            throw JSONError(offset: start, reason: .meaning("not a path below the directory"))
        }
        return text
    }

    private static func print(_ reader: inout JSONReader) throws(JSONError) -> Print? {
        if reader.null() { return nil }
        var print = Print(size: 0, hash: 0)
        try reader.beginObject()
        while let name = try reader.nextMember() {
            switch name {
            case "size": print.size = try reader.integer()
            case "hash": print.hash = try reader.integer()
            default: _ = try reader.value()
            }
        }
        return print
    }
}
