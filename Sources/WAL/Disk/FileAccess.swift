package import SystemPackage

/// Who owns a file, and who else may read and write it.
package struct FileAccess: Hashable, Sendable {
    package var owner: UInt32
    package var group: UInt32
    /// The nine bits of chmod(1), and no more: nothing that is made here runs as somebody else.
    package var permissions: UInt32

    package init(owner: UInt32, group: UInt32, permissions: UInt32) {
        self.owner = owner
        self.group = group
        self.permissions = permissions & 0o777
    }

    /// The same owner and group, and only what `other` allows, too.
    package func narrowed(to other: FileAccess) -> FileAccess {
        FileAccess(owner: owner, group: group, permissions: permissions & other.permissions)
    }
}

extension Disk {
    /// Makes a new file with the owner, group and mode of another; nil leaves them to the system.
    ///
    /// Whoever runs this may be root, and whoever uses the file next not. Nobody else can open it
    /// before it has them: one who may not read the other file could keep this one open, and read
    /// what is written later.
    package func make(
        _ path: FilePath, like access: FileAccess?
    ) throws(DiskError) -> any DiskFile {
        guard let access else { return try open(path, .createNew) }
        let file = try open(path, .createPrivate)
        do {
            try file.setAccess(access)
            return file
        } catch {
            file.close()
            try? remove(path)
            throw error
        }
    }
}
