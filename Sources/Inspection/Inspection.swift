internal import SystemPackage
package import WAL

/// Inspects all that a path stands for.
package enum Inspection {
    /// The version of the tools.
    package static let version = "0.1.0"

    /// - Parameters:
    ///   - progress: is told before each topic, with how many there are.
    ///   - isCancelled: is asked before each topic.
    package static func run(
        _ target: Target, on storage: Storage, isCancelled: () -> Bool = { false },
        progress: (_ topic: String, _ number: Int, _ count: Int) -> Void = { _, _, _ in }
    ) -> InspectionReport {
        var report = InspectionReport(path: target.path.string)
        for name in target.foreign {
            report.findings.append(
                Finding(
                    .foreignFile, segment: name,
                    detail: "\(name) does not belong into a data directory"))
        }
        for (index, topic) in target.topics.enumerated() {
            if isCancelled() { break }
            progress(topic.name, index + 1, target.topics.count)
            report.topics.append(TopicSurvey(topic, on: storage).run())
        }
        return report
    }
}
