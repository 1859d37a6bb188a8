/// Where logs and the files beside them are kept. A program uses `.local`; the tests of this
/// package put a disk under the same code that fails, lies and loses power.
public struct Storage: Sendable {
    package let disk: any Disk

    package init(_ disk: any Disk) { self.disk = disk }

    /// The file systems of this machine.
    public static let local = Storage(PosixDisk())
}
