import SystemPackage
import Corpus
import Foundation
import ProcessSupport
import Testing
import TestSupport

/// toymq-fuzzgen as a program.
@Suite struct FuzzgenTests {
    private func contents(_ folder: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            var isDirectory: ObjCBool = false
            let path = folder + "/" + name
            _ = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            if !isDirectory.boolValue { files[name] = FileManager.default.contents(atPath: path) }
        }
        return files
    }

    @Test func theSameSeedWritesTheSameFilesAndALargerCountOnlyAdds() throws {
        let folder = try TemporaryDirectory()
        for (name, count) in [("a", "30"), ("b", "30"), ("c", "40")] {
            let ran = try FinishedProcess(
                [builtProgram("toymq-fuzzgen")] + [
                    folder.appending(name).string, "--seed", "9", "--count", count,
                ])
            #expect(ran.exit == 0, "\(ran.error)")
        }
        let first = try contents(folder.appending("a").string)
        #expect(try contents(folder.appending("b").string) == first)
        let larger = try contents(folder.appending("c").string)
        for (name, bytes) in first where name != "manifest.json" {
            #expect(larger[name] == bytes, "\(name)")
        }
        #expect(first.keys.filter { $0.hasPrefix("frames/") }.count == 30)
        #expect(first["frame.dict"] != nil)
    }

    @Test func theManifestNamesEveryFileAndToymqFsckSaysTheSame() throws {
        let folder = try TemporaryDirectory()
        let out = folder.appending("out").string
        let count = ImageKinds.names.count
        let ran = try FinishedProcess(
            [builtProgram("toymq-fuzzgen")] + [out, "--seed", "4", "--count", "\(count)"])
        #expect(ran.exit == 0, "\(ran.error)")
        let data = try #require(FileManager.default.contents(atPath: out + "/manifest.json"))
        let manifest = try #require(
            try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let frames = try #require(manifest["frames"] as? [[String: Any]])
        #expect(
            Set(frames.compactMap { $0["frame"] as? String })
                == Set(try contents(out).keys.filter { $0.hasPrefix("frames/") }))
        let images = try #require(manifest["images"] as? [[String: Any]])
        #expect(images.count == count)
        for image in images {
            let path = try #require(image["image"] as? String)
            let fsck = try FinishedProcess(
                [builtProgram("toymq-fsck")] + ["--json", out + "/" + path])
            #expect(fsck.exit == (image["exit"] as? NSNumber)?.int32Value, "\(path)")
            let report = try #require(
                try JSONSerialization.jsonObject(with: Data(fsck.output.utf8)) as? [String: Any])
            #expect(report["verdict"] as? String == image["verdict"] as? String, "\(path)")
        }
    }

    @Test func aDirectoryWithSomethingInItIsLeftAlone() throws {
        let folder = try TemporaryDirectory()
        try folder.write("mine".utf8, to: "file")
        let ran = try FinishedProcess(
            [builtProgram("toymq-fuzzgen")] + [folder.path.string, "--count", "1"])
        #expect(ran.exit == 2)
        #expect(ran.error.contains("not empty"))
        #expect(try contents(folder.path.string).count == 1)
        let onto = try FinishedProcess(
            [builtProgram("toymq-fuzzgen")] + [folder.appending("file").string, "--count", "1"])
        #expect(onto.exit == 2)
        #expect(
            try FinishedProcess([
                builtProgram("toymq-fuzzgen"), folder.appending("no/where").string,
            ]).exit == 2)
    }

    @Test(arguments: [[], ["out", "--count", "0"], ["out", "--seed", "x"], ["out", "--what"]])
    func wrongUsageIsExit64(_ arguments: [String]) throws {
        let ran = try FinishedProcess([builtProgram("toymq-fuzzgen")] + arguments)
        #expect(ran.exit == 64)
        #expect(!ran.error.isEmpty)
    }
}
