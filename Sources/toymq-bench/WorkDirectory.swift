import Glibc
import SystemPackage

/// A directory of the measurement's own, on the disk that is to be measured.
struct WorkDirectory {
    let path: FilePath

    /// Makes `toymq-bench.XXXXXX` in `parent`.
    init(in parent: FilePath) throws {
        var name = Array(parent.appending("toymq-bench.XXXXXX").string.utf8CString)
        guard mkdtemp(&name) != nil else {
            throw BenchError("cannot make a directory in \(parent): \(lastError())")
        }
        path = FilePath(String(decoding: name.dropLast().map(UInt8.init), as: UTF8.self))
    }

    /// Removes it with the files and directories of files in it.
    func remove() { removeTree(path) }
}

/// The names in a directory, sorted.
func names(in directory: FilePath) throws -> [String] {
    guard let stream = opendir(directory.string) else {
        throw BenchError("cannot list \(directory): \(lastError())")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Removes a directory with everything in it; what cannot be removed is left.
func removeTree(_ path: FilePath) {
    for name in (try? names(in: path)) ?? [] {
        let entry = path.appending(name)
        if unlink(entry.string) != 0 { removeTree(entry) }
    }
    rmdir(path.string)
}
