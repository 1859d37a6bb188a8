import SystemPackage
import Testing
import WAL

/// An error says what was done, to what, why it failed and what to do next.
@Suite("Errors of the disk") struct DiskErrorTests {
    @Test(
        "what a disk can answer has a word of advice",
        arguments: [
            (DiskError.Operation.open, Errno.permissionDenied, "run this as a user who may"),
            (.lock, .notPermitted, "run this as a user who may"),
            (.list, .noSuchFileOrDirectory, "look whether the path is right"),
            (.makeDirectory, .noSuchFileOrDirectory, "make the directory above it first"),
            (.status, .notDirectory, "should be a directory"),
            (.open, .isDirectory, "move it away"), (.open, .invalidArgument, "a regular file"),
            (.rename, .fileExists, "what has the name"), (.write, .noSpace, "make room"),
            (.write, .diskQuotaExceeded, "make room"), (.write, .fileTooLarge, "ulimit -f"),
            (.sync, .ioError, "look at the disk"), (.open, .readOnlyFileSystem, "mount it"),
            (.open, .tooManyOpenFiles, "ulimit -n"),
            (.open, .tooManyOpenFilesInSystem, "no descriptors left"),
            (.list, .resourceBusy, "try again"), (.open, .tooManySymbolicLinkLevels, "links"),
            (.open, .fileNameTooLong, "a shorter path"),
        ] as [(DiskError.Operation, Errno, String)])
    func advice(operation: DiskError.Operation, errno: Errno, words: String) throws {
        let error = DiskError(operation: operation, path: "/d/f", errno: errno)
        let advice = try #require(error.advice)
        #expect(advice.contains(words), "\(advice)")
        #expect("\(error)".hasSuffix(" /d/f: \(errno); \(advice)"), "\(error)")
    }

    @Test func whatNothingIsKnownOfHasNone() {
        let error = DiskError(operation: .read, path: "/d/f", errno: .badAddress)
        #expect("\(error)" == "cannot read /d/f: \(Errno.badAddress)")
    }
}
