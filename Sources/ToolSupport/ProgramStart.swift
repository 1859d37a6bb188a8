import Glibc

/// What every program does before it does anything else.
public enum ProgramStart {
    /// Takes the numbers of the standard streams, and makes errors of the signals by which a write
    /// can end a process. To be called first, and while there is one thread; `exitCode` is that of
    /// a program that cannot do its work.
    public static func prepare(exitCode: Int32 = 2) {
        StandardStreams.occupy(exitCode: exitCode)
        // A file that may not grow further (`ulimit -f`) is a full disk to whoever writes it: a
        // broker goes on, a repair leaves the old file, a tool says what it could not write.
        signal(SIGXFSZ, SIG_IGN)
        // So is a reader who has gone.
        signal(SIGPIPE, SIG_IGN)
    }
}
