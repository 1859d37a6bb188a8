internal import WAL

/// Who may see what is set aside of a topic: whoever may see the topic's own files, and nobody
/// else. The next to write there may be somebody else than root, who is often the one to repair.
struct KeptAccess: Hashable, Sendable {
    /// Of the manifest. The files that are kept have their own.
    let files: FileAccess
    /// Of the directories.
    let directories: FileAccess

    /// - Parameters:
    ///   - segment: of a file of the topic.
    ///   - directory: of the topic's directory.
    init(segment: FileAccess, directory: FileAccess) {
        files = segment
        // Who may not read the file may not list, write or search; who may, as in the topic.
        let readers = segment.permissions & 0o444
        let allowed = directory.permissions & (readers | readers >> 1 | readers >> 2)
        directories = FileAccess(
            owner: directory.owner, group: directory.group, permissions: 0o700 | allowed)
    }

    private init(files: FileAccess, directories: FileAccess) {
        self.files = files
        self.directories = directories
    }

    /// For what several topics share: as little as each of them allows.
    func narrowed(to other: KeptAccess) -> KeptAccess {
        KeptAccess(
            files: files.narrowed(to: other.files),
            directories: directories.narrowed(to: other.directories))
    }
}
