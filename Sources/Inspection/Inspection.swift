internal import SystemPackage
package import WAL

/// Inspects all that a path stands for.
package enum Inspection {
    /// - Parameters:
    ///   - progress: is told before each topic, with how many there are.
    ///   - isCancelled: is asked before each topic.
    ///   - judge: inspects a topic; nil for a survey alone.
    package static func run(
        _ target: Target, on storage: Storage, isCancelled: () -> Bool = { false },
        progress: (_ topic: String, _ number: Int, _ count: Int) -> Void = { _, _, _ in },
        judge: ((TopicTarget) -> TopicReport)? = nil
    ) -> InspectionReport {
        var report = InspectionReport(path: target.path.string)
        report.findings = target.foreignFindings
        for (index, topic) in target.topics.enumerated() {
            if isCancelled() {
                report.topics.append(.cancelled(topic.name))
                continue
            }
            progress(topic.name, index + 1, target.topics.count)
            report.topics.append(
                judge.map { $0(topic) } ?? TopicSurvey(topic, on: storage).run())
        }
        return report
    }
}
