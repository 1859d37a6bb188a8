import Glibc

/// The three descriptors that every program begins with, or should.
enum StandardStreams {
    /// Makes sure that 0, 1 and 2 are taken. To be called before anything is opened and while there
    /// is one thread; does not return where a number cannot be taken: then nothing may be opened.
    ///
    /// Whoever starts a program may have closed them. The next file that is opened gets the lowest
    /// free number, and what is meant for people would be written into it: log lines over durable
    /// messages. `exitCode` is that of a program that cannot do its work.
    static func occupy(exitCode: Int32) {
        for number in STDIN_FILENO...STDERR_FILENO where isFree(number) {
            // The wrong way round, on purpose: a read or a write fails, as it would without a
            // descriptor. With the right one a message would count as printed, and be acknowledged.
            let flags = number == STDIN_FILENO ? O_WRONLY : O_RDONLY
            let taken = open("/dev/null", flags)
            guard taken == number else {
                say("descriptor \(number) is closed, and /dev/null cannot be opened in its place")
                _exit(exitCode)
            }
        }
    }

    private static func isFree(_ number: Int32) -> Bool {
        fcntl(number, F_GETFD) == -1 && errno == EBADF
    }

    /// To standard error if it is there: nothing has been opened that could be in its place.
    private static func say(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
