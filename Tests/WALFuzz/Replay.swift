#if !LibFuzzer
    import FuzzTargets
    import Foundation

    /// Without the trait: runs inputs through a target, once each.
    @main
    enum Replay {
        static func main() {
            let arguments = CommandLine.arguments.dropFirst()
            guard let target = arguments.first.flatMap(FuzzTarget.init(rawValue:)),
                arguments.count > 1
            else {
                let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")
                print("usage: WALFuzz \(known) FILE...")
                exit(64)
            }
            var failures: Int32 = 0
            for path in arguments.dropFirst() {
                guard let data = FileManager.default.contents(atPath: path) else {
                    print("\(path): cannot be read")
                    failures = 1
                    continue
                }
                if let broken = target.brokenInvariant(Array(data)) {
                    print("\(path): \(broken)")
                    failures = 1
                }
            }
            exit(failures)
        }
    }
#endif
