#if Mutants
    internal import Synchronization
#endif

/// Mistakes that a log like this one could have. They are compiled in only with the package trait
/// `Mutants`, which no product is built with; everywhere else `isOn` is the constant false and the
/// optimiser leaves nothing of it. `tools/mutants` has the crash exploration run against each of
/// them: one that it does not catch shows a hole in the proof.
package enum Mutant: UInt8, CaseIterable, Sendable {
    /// A commit is acknowledged without its sync.
    case syncLeftOut
    /// A commit is acknowledged, and only then written and forced.
    case acknowledgedBeforeSync
    /// Readers are shown a commit before it is forced.
    case publishedBeforeSync
    /// No directory is ever forced.
    case directoryNotSynced
    /// The sealed segment's name is not forced before the next segment takes the old one.
    case renameNotSynced
    /// The name of a dropped segment is not forced before the next is dropped.
    case dropNotSynced
    /// A torn tail is cut before it has been set aside.
    case cutBeforeEvidence
    /// A torn tail is set aside in a file that is not forced.
    case evidenceNotSynced
    /// A torn tail stays where it is, and appends go over it.
    case tailNotCut
    /// What is cut off is not forced away.
    case cutNotSynced
    /// After a failed write the file stays as it is.
    case failedWriteNotCut
    /// A short write counts as a whole one.
    case shortWriteIgnored
    /// A failed sync is tried again on the same descriptor.
    case failedSyncRetried
    /// After a failed sync the log goes on.
    case failedSyncForgotten
    /// Opening does not force what it shows.
    case recoveryNotSynced
    /// Opening does not write again what nothing proves durable.
    case recoveryNotRewritten
    /// Of what nothing proves durable, opening writes the messages again but not the marks before.
    case markNotRewritten
    /// Every frame says that it is the first of its commit.
    case commitIndexAlwaysZero
    /// A mark says that a commit is durable before it is.
    case markBeforeSync
    /// A segment is used before its mark is forced.
    case segmentBeforeMark
    /// A segment is sealed with the zeros behind its end.
    case sealedWithZeros
    /// A segment is sealed without being forced.
    case sealNotSynced
    /// The search for frames behind a bad place does not look at their position.
    case positionIgnored
    /// Behind a torn tail the last id is given out again.
    case idReusedAfterCut
    /// Dropping does not stop at the id that it was given.
    case droppedTooMuch
    /// offsets.json is renamed before its bytes are forced.
    case offsetsNotSynced
    /// The rename of offsets.json is not forced.
    case offsetsRenameNotSynced

    package var name: String { "\(self)" }

    #if Mutants
        private static let chosen = Atomic<UInt8>(.max)

        /// Builds with the trait have it.
        package static let areBuiltIn = true

        /// Has this process make one mistake from now on, or none.
        package static func choose(_ mutant: Mutant?) {
            chosen.store(mutant?.rawValue ?? .max, ordering: .relaxed)
        }

        package var isOn: Bool { Mutant.chosen.load(ordering: .relaxed) == rawValue }
    #else
        package static let areBuiltIn = false

        package static func choose(_ mutant: Mutant?) {
            precondition(mutant == nil, "this build has no mutants; build with --traits Mutants")
        }

        @inline(__always) package var isOn: Bool { false }
    #endif
}
