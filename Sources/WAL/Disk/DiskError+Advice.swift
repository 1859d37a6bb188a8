internal import SystemPackage

extension DiskError {
    /// What to do about it, in a few words; nil where the error number does not tell.
    public var advice: String? {
        switch errno {
        case .permissionDenied, .notPermitted:
            "run this as a user who may, or change who may"
        case .noSuchFileOrDirectory:
            switch operation {
            case .makeDirectory: "make the directory above it first"
            case .open: "look whether the path is right, and where it leads if it is a link"
            default: "look whether the path is right"
            }
        case .notDirectory: "what should be a directory is something else; is the path right?"
        case .isDirectory: "a directory has the place of a file; move it away"
        case .invalidArgument where operation == .open:
            "something else has the place of a regular file; move it away"
        case .fileExists: "look at what has the name, and move it away if nobody needs it"
        case .noSpace, .diskQuotaExceeded: "make room there"
        case .fileTooLarge: "let files grow further: ulimit -f, or another file system"
        case .ioError: "look at the disk; the system's log says more"
        case .readOnlyFileSystem: "mount it for writing"
        case .tooManyOpenFiles: "let the process have more descriptors: ulimit -n"
        case .tooManyOpenFilesInSystem: "the system has no descriptors left; stop what takes them"
        case .resourceBusy: "it changes all the time; try again"
        case .tooManySymbolicLinkLevels: "look where its links lead"
        case .fileNameTooLong: "give a shorter path"
        default: nil
        }
    }
}
