#if !LibFuzzer
    import Foundation
    import FuzzTargets

    /// Without the trait: runs inputs through a target once each, or makes inputs of a corpus.
    @main
    enum Replay {
        static func main() throws {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.count == 3, arguments[0] == "pack" {
                try pack(arguments[1], to: arguments[2])
                return
            }
            guard let target = arguments.first.flatMap(FuzzTarget.init(rawValue:)),
                arguments.count > 1
            else {
                let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")
                print("usage: WALFuzz \(known) FILE...\n       WALFuzz pack CORPUS OUT")
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

        /// Puts inputs for each target under OUT/<target>/, made of what toymq-fuzzgen has written.
        private static func pack(_ corpus: String, to out: String) throws {
            let files = FileManager.default
            for target in FuzzTarget.allCases {
                try files.createDirectory(
                    atPath: "\(out)/\(target.rawValue)", withIntermediateDirectories: true)
                for (number, seed) in target.seeds.enumerated() {
                    try Data(seed).write(
                        to: URL(fileURLWithPath: "\(out)/\(target.rawValue)/seed-\(number)"))
                }
            }
            for name in try files.contentsOfDirectory(atPath: corpus + "/frames") {
                try files.copyItem(
                    atPath: "\(corpus)/frames/\(name)", toPath: "\(out)/frame/\(name)")
            }
            for name in try files.contentsOfDirectory(atPath: corpus + "/images") {
                let topic = "\(corpus)/images/\(name)/topics/t"
                var contents: [String: [UInt8]] = [:]
                for file in try files.contentsOfDirectory(atPath: topic) {
                    contents[file] = files.contents(atPath: "\(topic)/\(file)").map { Array($0) }
                }
                for (target, bytes) in Packing.inputs(of: contents) {
                    try Data(bytes).write(
                        to: URL(fileURLWithPath: "\(out)/\(target.rawValue)/\(name)"))
                }
            }
        }
    }
#endif
