import Foundation
import SystemPackage

/// A directory of its own for each test, removed behind it.
final class TemporaryDirectory: Sendable {
    let path: FilePath

    init() {
        let name = "toymq-test-\(UUID().uuidString)"
        path = FilePath(FileManager.default.temporaryDirectory.path).appending(name)
        // A test cannot go on without its directory; there is nothing to tidy up.
        precondition(
            (try? FileManager.default.createDirectory(
                atPath: path.string, withIntermediateDirectories: false)) != nil,
            "cannot make \(path)")
    }

    deinit { try? FileManager.default.removeItem(atPath: path.string) }

    func bytes(_ name: String) -> [UInt8] {
        FileManager.default.contents(atPath: path.appending(name).string).map(Array.init) ?? []
    }

    func write(_ bytes: [UInt8], to name: String) {
        let done = FileManager.default.createFile(
            atPath: path.appending(name).string, contents: Data(bytes))
        precondition(done, "cannot write \(name)")
    }

    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path.string)) ?? []).sorted()
    }
}
