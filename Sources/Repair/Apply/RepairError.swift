package import Inspection
package import SystemPackage
package import WAL

/// Why a repair or an undo did nothing, or not all.
package enum RepairError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A system call failed.
    case io(DiskError)
    /// A system call failed when some files had been changed already, and how.
    case partly([ReportAction], DiskError)
    /// Somebody has the log open.
    case inUse(FilePath, LockHolder?)
    /// A file is not what it was when the repair was planned.
    case changed(FilePath)
    /// A file is not what the repair that is to be undone has left.
    case changedSince(FilePath)
    /// What a repair set aside is not what it was then.
    case keptChanged(FilePath)
    /// What would be replaced is a symbolic link, or something else that is no file.
    case notAFile(FilePath)
    /// Something has the name that a new file needs until it is renamed.
    case nameTaken(FilePath)
    /// What was written does not read back as it was planned.
    case notAsPlanned(FilePath, String)
    /// A segment's bytes belong under another name, and only this one file is to be repaired.
    case misnamed(FilePath)
    /// A later version wrote to the log; only one of its other files is to be repaired.
    case newer(FilePath)
    /// Opening the log would refuse it for what is in another file than the one to be preened.
    case refused(FilePath)
    /// No plan was found under which the log is sound.
    case noPlan(FilePath)
    /// A directory to undo from is none.
    case noManifest(FilePath, String)

    /// One of the two kinds of error that the calls of a repair throw.
    init(_ error: any Error) {
        switch error {
        case let error as RepairError: self = error
        case let error as DiskError: self = .io(error)
        default: preconditionFailure("only typed errors are thrown here: \(error)")
        }
    }

    package var description: String {
        switch self {
        case .io(let error): "\(error)"
        case .partly(_, let error):
            "\(error); by then a part was done, which the report lists: run it again to have the "
                + "rest done"
        case .inUse(let path, .process(let id)?): LockHolder.complaint(path, id)
        case .inUse(let path, _): LockHolder.complaint(path, nil)
        case .changed(let path): "\(path) has changed meanwhile; nothing was done, run again"
        case .changedSince(let path):
            "\(path) is not what the repair has left: it was changed since, and that would be lost; "
                + "nothing was put back. Copy it elsewhere if it is worth anything, then take what "
                + "you need out of the repair's directory by hand: manifest.json names each file"
        case .keptChanged(let path):
            "\(path) is not what the repair set aside; nothing was put back. Put it there again "
                + "from a backup, or take the other files by hand: manifest.json names each"
        case .notAFile(let path):
            "\(path) is a symbolic link or something else that is no regular file: a repair would "
                + "replace it, and leave what it leads to as it is; put the file itself there and "
                + "run again"
        case .nameTaken(let path):
            "\(path) has the name that a repair needs for its new file; move it away and run again"
        case .notAsPlanned(let path, let reason): "\(path) is not as planned: \(reason)"
        case .misnamed(let path):
            "\(path) holds another segment than its name says, so other names have to change as "
                + "well; repair the topic, \(path.removingLastComponent())"
        case .newer(let path):
            "another file of \(path) has a frame of a later version: no file of it is changed; use "
                + "that version"
        case .refused(let path):
            "something in \(path) is damaged, so opening it would cut nothing, and nothing was "
                + "preened; look with: toymq-fsck \(path)"
        case .noPlan(let path):
            "\(path): no repair was found that leaves a sound log; toymq-dump prints what is left"
        case .noManifest(let path, let reason):
            "\(path) holds no repair that can be undone: \(reason)"
        }
    }

    /// As a system call that failed, for a report.
    package var asDiskError: DiskError {
        switch self {
        case .io(let error), .partly(_, let error): error
        case .inUse(let path, _):
            DiskError(operation: .lock, path: path, errno: .wouldBlock)
        case .changed(let path), .changedSince(let path), .keptChanged(let path):
            DiskError(operation: .rename, path: path, errno: .resourceBusy)
        case .notAFile(let path):
            DiskError(operation: .rename, path: path, errno: .invalidArgument)
        case .nameTaken(let path):
            DiskError(operation: .open, path: path, errno: .fileExists)
        case .notAsPlanned(let path, _), .misnamed(let path), .noPlan(let path),
            .newer(let path), .refused(let path):
            DiskError(operation: .write, path: path, errno: .ioError)
        case .noManifest(let path, _):
            DiskError(operation: .open, path: path, errno: .noSuchFileOrDirectory)
        }
    }
}
