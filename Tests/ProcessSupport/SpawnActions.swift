import CSpawn
import Glibc

/// What posix_spawn(3) does to a child's descriptors before the program runs.
struct SpawnActions: ~Copyable {
    private var actions = posix_spawn_file_actions_t()
    /// The child's ends of pipes, which this process closes when the child has them.
    private var childEnds: [Int32] = []
    /// This process's ends, closed if there is no child.
    private var parentEnds: [Int32] = []

    init() { posix_spawn_file_actions_init(&actions) }

    mutating func destroy() { posix_spawn_file_actions_destroy(&actions) }

    /// Makes `stream` the child's descriptor `number`; gives this process's end if it is a pipe.
    mutating func add(_ stream: ChildStream, as number: Int32) throws(ChildError) -> Int32? {
        switch stream {
        case .inherited: break
        case .null: open("/dev/null", O_RDWR, as: number)
        case .file(let path) where number == STDIN_FILENO: open(path, O_RDONLY, as: number)
        case .file(let path): open(path, O_WRONLY | O_CREAT | O_TRUNC, as: number)
        case .appending(let path): open(path, O_WRONLY | O_CREAT | O_APPEND, as: number)
        case .descriptor(let own): posix_spawn_file_actions_adddup2(&actions, own, number)
        case .pipe: return try pipe(as: number)
        }
        return nil
    }

    private mutating func open(_ path: String, _ flags: Int32, as number: Int32) {
        posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o644)
    }

    private mutating func pipe(as number: Int32) throws(ChildError) -> Int32 {
        var ends: [Int32] = [0, 0]
        // Closed on exec from the first moment: no other child of this process inherits one.
        guard pipe2(&ends, O_CLOEXEC) == 0 else {
            throw ChildError(description: "no pipe: \(SpawnActions.text(errno))")
        }
        let isInput = number == STDIN_FILENO
        childEnds.append(isInput ? ends[0] : ends[1])
        parentEnds.append(isInput ? ends[1] : ends[0])
        posix_spawn_file_actions_adddup2(&actions, childEnds[childEnds.count - 1], number)
        return parentEnds[parentEnds.count - 1]
    }

    /// Starts the program, with no descriptor but the three, no signal blocked and none ignored.
    mutating func spawn(
        _ words: [String], _ environment: [String: String]?, _ directory: String?
    ) throws(ChildError) -> pid_t {
        posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
        if let directory { posix_spawn_file_actions_addchdir_np(&actions, directory) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment?.map { strdup("\($0.key)=\($0.value)") } ?? []
        defer { for text in arguments + variables { free(text) } }
        variables.append(nil)
        var pid = pid_t()
        let code =
            environment == nil
            ? posix_spawn(&pid, words[0], &actions, &attributes, &arguments, environ)
            : posix_spawn(&pid, words[0], &actions, &attributes, &arguments, &variables)
        for end in childEnds { _ = close(end) }
        guard code == 0 else {
            for end in parentEnds { _ = close(end) }
            throw ChildError(description: "cannot run \(words[0]): \(SpawnActions.text(code))")
        }
        return pid
    }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
