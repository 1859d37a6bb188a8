import SystemPackage
import Foundation
import Glibc
import ProcessSupport
import Testing
import TestSupport

/// What is not UTF-8 on a command line or in the environment is refused and not repaired: it would
/// be another key, payload or path.
@Suite("Arguments that are not UTF-8", .timeLimit(.minutes(10))) struct ArgumentsTests {
    /// Runs a program of this build in a folder with these arguments, as the shell understands
    /// them.
    private func shell(
        _ name: String, _ arguments: String, environment: String = "",
        in folder: TemporaryDirectory,
        input: String = ""
    ) throws -> FinishedProcess {
        let script =
            "b=$(printf 'k\\377'); c=$(printf 'k\\376'); \(environment) \"$0\" \(arguments)"
        return try FinishedProcess(
            ["/bin/sh", "-c", script, builtProgram(name)], input: input,
            directory: folder.path.string)
    }

    @Test(arguments: [
        ("toymq", "--data-dir \"$b\" --addr 127.0.0.1:0", 2, 64),
        ("toymq-dump", "\"$b\"", 1, 64), ("toymq-fsck", "--json \"$b\"", 2, 16),
        ("toymq-fuzzgen", "\"$b\" --count 1", 1, 64),
        ("toymq-bench", "publish --addr 127.0.0.1:1 --topic \"$b\"", 5, 64),
        ("toymqctl", "open \"$b\"", 2, 64), ("toymqctl", "pub t --file \"$b\"", 4, 64),
    ])
    func everyProgramRefusesThem(
        program: String, arguments: String, number: Int, exit: Int32
    ) throws {
        let folder = try TemporaryDirectory()
        let result = try shell(program, arguments, in: folder)
        #expect(result.exit == exit, "\(result.error)")
        #expect(result.error.contains("argument \(number) is not UTF-8"), "\(result.error)")
        #expect(try result.output.isEmpty && folder.names.isEmpty)
    }

    @Test func nothingIsPublishedUnderARepairedKeyOrWithARepairedPayload() throws {
        let broker = try TestBroker()
        let folder = try TemporaryDirectory()
        let address = "--addr 127.0.0.1:\(broker.port)"
        for words in [
            "t \"$b\"", "t one --key \"$b\"", "t two --key \"$c\"", "t x --header \"n=$b\"",
        ] {
            let result = try shell("toymqctl", "pub \(words) \(address)", in: folder)
            #expect(result.exit == 64 && result.error.contains("--file"), "\(words)")
        }
        // The bytes themselves have a way.
        let file = try folder.write([0xFF, 0xFE], to: "payload")
        #expect(try toymqctl(broker, "pub", "t", "--file", file.string).output == "0\n")
        let got = json(try toymqctl(broker, "sub", "t", "--count", "1", "--json").output)
        #expect(got["payload_base64"] as? String == "//4=")
        #expect(try toymqctl(broker, "pub", "t", "ü", "--key", "ü").output == "1\n")
    }

    @Test(arguments: ["TOYMQ_DATA_DIR", "TOYMQ_CONFIG", "TOYMQ_AUTH_TOKEN_FILE"])
    func aSettingInTheEnvironmentIsNamed(variable: String) throws {
        let folder = try TemporaryDirectory()
        let result = try shell(
            "toymq", "--addr 127.0.0.1:0", environment: "\(variable)=\"$b\"", in: folder)
        #expect(result.exit == 64, "\(result.error)")
        #expect(result.error.contains("\(variable) is not UTF-8"), "\(result.error)")
        #expect(try folder.names.isEmpty)
    }

    @Test func aSettingsFileThatIsNotUTF8IsRefused() throws {
        let folder = try TemporaryDirectory()
        let bytes = Array("{\"data-dir\": \"".utf8) + [0x6B, 0xFF] + Array("\"}".utf8)
        try folder.write(bytes, to: "config.json")
        let result = try shell("toymq", "--addr 127.0.0.1:0 --config config.json", in: folder)
        #expect(result.exit == 64 && result.error.contains("config.json"), "\(result.error)")
        #expect(try folder.names == ["config.json"])
    }
}
