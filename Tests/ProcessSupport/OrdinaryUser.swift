import Foundation
import Glibc

/// Somebody whom permissions bind, which root is not.
public enum OrdinaryUser {
    /// What is put in front of a command to have an ordinary user run it.
    public static let wrapper =
        geteuid() == 0
        ? ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []

    /// Whether an ordinary user can run the program of that name which was built beside the tests:
    /// not where setpriv(1) is missing or not allowed, nor where the build is in a folder of
    /// root's.
    public static func canRun(_ program: String) -> Bool {
        let words = wrapper + [builtProgram(program)]
        guard FileManager.default.isExecutableFile(atPath: words[0]),
            let run = try? FinishedProcess(words)
        else { return false }
        // Of env(1), setpriv(1) and the loader: it could not be started. No program of ours has it.
        return !(126...127).contains(run.exit) && run.exit > 1
    }
}
