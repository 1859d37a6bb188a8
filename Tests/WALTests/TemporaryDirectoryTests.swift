import Glibc
import SystemPackage
import TestSupport
import Testing

@Suite("Temporary directory") struct TemporaryDirectoryTests {
    @Test func itIsGoneThoughSomeOfItMayNotBeWritten() throws {
        var directory: TemporaryDirectory? = try TemporaryDirectory()
        let path = try #require(directory?.path)
        try directory?.write([1], to: "a/b/file")
        let elsewhere = try TemporaryDirectory()
        // A directory that a link leads to is not one of its own.
        symlink(elsewhere.path.string, path.appending("a").appending("link").string)
        #expect(chmod(elsewhere.path.string, 0o500) == 0)
        for name in ["a/b", "a"] { #expect(chmod(path.string + "/" + name, 0o500) == 0) }
        #expect(try directory?.names == ["a"])
        directory = nil
        #expect(access(path.string, F_OK) != 0)
        var status = stat()
        #expect(stat(elsewhere.path.string, &status) == 0 && status.st_mode & 0o777 == 0o500)
    }
}
