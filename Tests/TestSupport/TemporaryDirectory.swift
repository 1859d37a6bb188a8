public import Foundation
public import SystemPackage

/// A directory of its own for one test, on the real disk; gone with the last reference.
public final class TemporaryDirectory: Sendable {
    /// Where it is.
    public let path: FilePath

    /// Makes an empty one.
    public init() throws {
        path = FilePath(FileManager.default.temporaryDirectory.path)
            .appending("toymq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            atPath: path.string, withIntermediateDirectories: false)
    }

    deinit {
        let files = FileManager.default
        if (try? files.removeItem(atPath: path.string)) != nil { return }
        // What is in a directory that a test has made read-only cannot be removed.
        TemporaryDirectory.makeWritable(path.string)
        try? files.removeItem(atPath: path.string)
    }

    private static func makeWritable(_ directory: String) {
        let files = FileManager.default
        try? files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory)
        for name in (try? files.contentsOfDirectory(atPath: directory)) ?? [] {
            let path = directory + "/" + name
            // Of the link itself where it is one.
            let attributes = try? files.attributesOfItem(atPath: path)
            if attributes?[.type] as? FileAttributeType == .typeDirectory { makeWritable(path) }
        }
    }

    /// Where it is, for Foundation.
    public var url: URL { URL(fileURLWithPath: path.string, isDirectory: true) }

    /// The path of what has this name or relative path in it.
    public func appending(_ relative: String) -> FilePath { path.pushing(FilePath(relative)) }

    /// The names in it, sorted.
    public var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path.string).sorted() }
    }

    /// Writes a file, making the directories above it.
    @discardableResult
    public func write(_ bytes: some Sequence<UInt8>, to relative: String) throws -> FilePath {
        let file = appending(relative)
        try FileManager.default.createDirectory(
            atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: file.string))
        return file
    }

    /// Makes a directory, and those above it.
    @discardableResult
    public func makeDirectory(_ relative: String) throws -> FilePath {
        let directory = appending(relative)
        try FileManager.default.createDirectory(
            atPath: directory.string, withIntermediateDirectories: true)
        return directory
    }
}

/// All bytes of a file.
public func bytes(of path: FilePath) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path.string)))
}
