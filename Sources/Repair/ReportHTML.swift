package import Inspection
package import WAL

/// What the page shows of the files themselves.
package struct ReportPictures: Sendable {
    package init() {}
    package init(of target: Target, on storage: Storage) {}
}

/// The report as one self-contained page.
package enum ReportHTML {
    package static func render(
        _ report: InspectionReport, _ pictures: ReportPictures, now: UInt64
    ) -> [UInt8] { [] }
}
