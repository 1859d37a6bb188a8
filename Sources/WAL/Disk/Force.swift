package import SystemPackage

/// The one way in which bytes and names are forced to stable storage. Commit, seal, open and repair
/// come through here, and so do positions, new topics and imports: whoever audits the promise has
/// one place to read.
package enum Force {
    /// Forces a file. A failure is final for the log: after it the pages may be marked clean and
    /// yet not be on the disk, so that a second, successful call would prove nothing.
    package static func file(_ file: any DiskFile, _ extent: SyncExtent) throws(DiskError) {
        if Mutant.syncLeftOut.isOn, extent == .data { return }
        try file.sync(extent)
    }

    /// Forces the names in a directory.
    package static func names(in directory: FilePath, of disk: any Disk) throws(DiskError) {
        if Mutant.directoryNotSynced.isOn { return }
        try disk.syncDirectory(directory)
    }

    /// Forces the names that lead to `directory`: each parent, up to and including `top`. Whoever
    /// made an entry may have been killed before it was forced.
    package static func chain(
        to directory: FilePath, top: FilePath, of disk: any Disk
    ) throws(DiskError) {
        var path = directory.lexicallyNormalized()
        let last = top.lexicallyNormalized()
        try names(in: path, of: disk)
        while path != last {
            let parent = path.removingLastComponent()
            let next = parent.isEmpty ? FilePath(".") : parent
            // The root and `.` are their own parents.
            if next == path { return }
            try names(in: next, of: disk)
            path = next
        }
    }
}
