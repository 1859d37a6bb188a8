import Foundation
import Testing

/// Where `--report` may write.
@Suite("Fsck: the page's file") struct FsckReportTests {
    private let folder: DumpFolder
    private let data: URL
    private let segment: URL

    init() throws {
        folder = try DumpFolder()
        data = folder.url.appendingPathComponent("data")
        let topic = data.appendingPathComponent("topics/t")
        for directory in [topic, data.appendingPathComponent("lost+found/1")] {
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true)
        }
        segment = topic.appendingPathComponent("segment.log")
        try Data(DumpFrame.segment([.mark(0), .message(0, []), .mark(1)])).write(to: segment)
        try Data().write(to: data.appendingPathComponent("LOCK"))
    }

    private func run(_ arguments: [String]) throws -> DumpProcess {
        // From inside the data directory, for paths that are relative.
        let process = try DumpProcess(
            arguments, tool: "toymq-fsck",
            wrapper: ["/bin/sh", "-c", "cd '\(data.path)' && exec \"$@\"", "sh"])
        process.exit()
        return process
    }

    /// All names below the folder and what the files hold.
    private func picture() throws -> [String: Data?] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        return Dictionary(
            uniqueKeysWithValues: names.map {
                ($0, FileManager.default.contents(atPath: folder.path + "/" + $0))
            })
    }

    @Test func aFileOfTheDataIsRefusedWhateverPathLeadsThere() throws {
        let outside = folder.url.appendingPathComponent("outside")
        try FileManager.default.createSymbolicLink(
            at: outside, withDestinationURL: segment.deletingLastPathComponent())
        let link = folder.url.appendingPathComponent("link.html")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: segment)
        let second = folder.url.appendingPathComponent("second.html")
        try FileManager.default.linkItem(at: segment, to: second)
        let before = try picture()
        let paths = [
            segment.path, "topics/t/segment.log", "./topics/../topics/t/segment.log",
            "topics/t/page.html", "topics/page.html", "topics", "LOCK", "lost+found",
            "lost+found/1/page.html", outside.path + "/page.html", link.path, second.path,
        ]
        for path in paths {
            for target in [".", "topics/t", "topics/t/segment.log"] {
                let process = try run([target, "--report", path])
                #expect(process.exit() == 16, "\(path) of \(target)")
                #expect(process.output == "")
                #expect(process.error.contains("--report"), "\(path) of \(target)")
            }
        }
        #expect(try picture() == before)
    }

    @Test func lostAndFoundIsOfTheDataBeforeARepairHasMadeIt() throws {
        try FileManager.default.removeItem(at: data.appendingPathComponent("lost+found"))
        var torn = try Data(contentsOf: segment)
        torn.removeLast()
        try torn.write(to: segment)
        let link = folder.url.appendingPathComponent("ahead")
        try FileManager.default.createSymbolicLink(
            atPath: link.path, withDestinationPath: "data/lost+found")
        let alone = folder.url.appendingPathComponent("copy.log")
        try torn.write(to: alone)
        let before = try picture()
        var cases: [(target: String, path: String)] = [
            (alone.path, folder.path + "/lost+found/page.html"),
            (alone.path, folder.path + "/lost+found"),
        ]
        for target in [".", "topics/t", "topics/t/segment.log"] {
            for path in [
                "lost+found/page.html", "./topics/../lost+found/page.html", "lost+found",
                data.path + "/lost+found/page.html", link.path + "/page.html",
            ] {
                cases.append((target, path))
            }
        }
        for (target, path) in cases {
            let process = try run([target, "--repair", "--report", path])
            #expect(process.exit() == 16, "\(path) of \(target)")
            #expect(process.output == "" && process.error.contains("--report"), "\(path)")
        }
        #expect(try picture() == before)
        // Of the same name elsewhere it is a directory like any other.
        let other = folder.url.appendingPathComponent("other/lost+found")
        try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
        #expect(try run([".", "--repair", "--report", other.path + "/page.html"]).exit() == 1)
    }

    @Test func elsewhereItIsWrittenAndNothingBesideItIsTouched() throws {
        let page = folder.url.appendingPathComponent("page.html")
        let mine = Data("mine".utf8)
        try mine.write(to: folder.url.appendingPathComponent("page.html.tmp"))
        // Taken as well, by a link that leads nowhere.
        try FileManager.default.createSymbolicLink(
            atPath: page.path + ".tmp.2", withDestinationPath: folder.path + "/nowhere")
        try Data("old".utf8).write(to: page)
        #expect(try run([".", "--report", page.path]).exit() == 0)
        let text = try #require(String(data: Data(contentsOf: page), encoding: .utf8))
        #expect(text.hasPrefix("<!doctype html>"))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.sorted() == ["data", "page.html", "page.html.tmp", "page.html.tmp.2"])
        #expect(try Data(contentsOf: folder.url.appendingPathComponent("page.html.tmp")) == mine)
    }

    @Test func itNamesTheFolderThatUndoesTheRepair() throws {
        // Names as a repair makes them, above the data.
        let inner = folder.url.appendingPathComponent("lost+found/1/topics/data")
        try FileManager.default.createDirectory(
            at: inner.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: data, to: inner)
        let log = inner.appendingPathComponent("topics/t/segment.log")
        var bytes = try Data(contentsOf: log)
        bytes[bytes.count - 40] ^= 1
        try bytes.write(to: log)
        let page = folder.url.appendingPathComponent("page.html")
        let repair = try run([inner.path, "--repair", "--report", page.path])
        #expect(repair.exit() & 1 == 1)
        let words = repair.error.split(separator: " ").map(String.init)
        let undo = try #require(words.firstIndex(of: "--undo"))
        let text = try String(contentsOf: page, encoding: .utf8)
        #expect(text.contains("toymq-fsck --undo \(words[undo + 1])</pre>"), "\(repair.error)")
    }

    @Test func whatIsNoRegularFileIsRefusedBeforeAnythingIsRepaired() throws {
        var torn = try Data(contentsOf: segment)
        torn.removeLast()
        try torn.write(to: segment)
        let page = { (name: String) in folder.url.appendingPathComponent(name) }
        try FileManager.default.createDirectory(
            at: page("directory"), withIntermediateDirectories: false)
        try Data("mine".utf8).write(to: page("file"))
        for (link, end) in [("link", "file"), ("astray", "nowhere"), ("topipe", "pipe")] {
            try FileManager.default.createSymbolicLink(
                atPath: page(link).path, withDestinationPath: end)
        }
        let before = try picture()
        // Looked at apart: to read it would take for ever.
        #expect(mkfifo(page("pipe").path, 0o600) == 0)
        for name in ["directory", "directory/", "pipe", "link", "astray", "topipe"] {
            let process = try run(["--repair", ".", "--report", page(name).path])
            #expect(process.exit() == 16, "\(name)")
            #expect(process.output == "")
            #expect(process.error.contains("--report"), "\(name)")
        }
        var status = stat()
        #expect(lstat(page("pipe").path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
        #expect(unlink(page("pipe").path) == 0)
        #expect(try picture() == before)
        #expect(try run(["--repair", ".", "--report", page("file").path]).exit() == 1)
    }

    @Test func besideOneFileThatWasNamedThereIsRoom() throws {
        let alone = folder.url.appendingPathComponent("copy.log")
        try FileManager.default.copyItem(at: segment, to: alone)
        let page = folder.url.appendingPathComponent("page.html")
        #expect(try run([alone.path, "--report", page.path]).exit() == 0)
        #expect(try run([alone.path, "--report", alone.path]).exit() == 16)
    }
}
