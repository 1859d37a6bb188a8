import Glibc

/// The words that a program was started with.
public enum Arguments {
    /// Ends the process if one of them is not UTF-8. To be called first of all: `CommandLine` puts
    /// U+FFFD where bytes are no UTF-8, and another key, payload or path would be taken for the one
    /// that was meant. `advice` is what to do besides, `exitCode` that of a wrong usage.
    public static func check(exitCode: Int32 = 64, advice: String = "") {
        for number in 1..<max(1, Int(CommandLine.argc)) {
            guard let word = CommandLine.unsafeArgv[number] else { continue }
            let bytesOfWord = sequence(first: word) { $0 + 1 }.lazy
                .map { UInt8(truncatingIfNeeded: $0.pointee) }.prefix { $0 != 0 }
            if String(validating: bytesOfWord, as: UTF8.self) != nil { continue }
            let text =
                "Error: argument \(number) is not UTF-8, and would be changed; for a path, give a "
                + "symbolic link's name that is\(advice)\n"
            let bytes = Array(text.utf8)
            // Where nobody listens there is nothing left to do about it.
            _ = write(STDERR_FILENO, bytes, bytes.count)
            exit(exitCode)
        }
    }
}
