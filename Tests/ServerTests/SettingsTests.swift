import Foundation
import Testing

@Suite("Settings", .timeLimit(.minutes(10)))
struct SettingsTests {
    @Test("settings come from flags, then the environment, then the file")
    func settings() throws {
        let data = try DataFolder()
        let file = data.url.deletingLastPathComponent().appendingPathComponent("toymq.json")
        try Data("{\"max-payload\": 10, \"max-connections\": \"1\"}".utf8).write(to: file)
        func largest(_ arguments: [String], _ environment: [String: String]) throws -> String {
            let broker = try BrokerProcess(data, arguments, environment: environment)
            defer { broker.stop() }
            return try broker.client().command("PUB t - 1048577")
        }
        #expect(try largest(["--config", file.path], [:]).hasSuffix("at most 10"))
        #expect(try largest([], ["TOYMQ_CONFIG": file.path]).hasSuffix("at most 10"))
        #expect(
            try largest(["--config", file.path], ["TOYMQ_MAX_PAYLOAD": "20"])
                .hasSuffix("at most 20"))
        #expect(
            try largest(
                ["--config", file.path, "--max-payload", "30"], ["TOYMQ_MAX_PAYLOAD": "20"]
            ).hasSuffix("at most 30"))
    }

    @Test("a directory in use, a bad setting and a bad file are refused clearly")
    func refusals() throws {
        let data = try DataFolder()
        let broker = try BrokerProcess(data)
        func refusal(_ arguments: [String]) -> String {
            do {
                _ = try BrokerProcess(data, arguments)
                return ""
            } catch { return (error as? BrokerProcess.NotStarted)?.text ?? "" }
        }
        #expect(refusal([]).contains("in use by process"))
        broker.stop()
        #expect(refusal(["--max-payload", "4MiB"]).contains("--max-payload"))
        #expect(refusal(["--visibility-timeout", "soon"]).contains("--visibility-timeout"))
        #expect(refusal(["--config", "/nonexistent.json"]).contains("/nonexistent.json"))
    }

    @Test("a setting that cannot be used is named as it was given")
    func namesOfSettings() throws {
        let data = try DataFolder()
        let file = data.url.deletingLastPathComponent().appendingPathComponent("toymq.json")
        func refusal(
            _ arguments: [String] = [], _ environment: [String: String] = [:], json: String? = nil
        ) throws -> String {
            var arguments = arguments
            if let json {
                try Data(json.utf8).write(to: file)
                arguments += ["--config", file.path]
            }
            do {
                _ = try BrokerProcess(data, arguments, environment: environment)
                return "it serves"
            } catch { return (error as? BrokerProcess.NotStarted)?.text ?? "\(error)" }
        }
        let size = "is no size from 0 to 3145728 bytes"
        #expect(try refusal(["--max-payload", "abc"]).contains("--max-payload: 'abc' \(size)"))
        let variable = try refusal([], ["TOYMQ_MAX_PAYLOAD": "abc"])
        #expect(
            variable.contains("TOYMQ_MAX_PAYLOAD: 'abc' \(size)") && !variable.contains("--max"))
        for (value, shown) in [
            ("\"abc\"", "'abc'"), ("1.5", "1.5"), ("true", "true"), ("null", "null"),
            ("[1]", "a list"), ("{}", "an object"), ("4194304", "4194304"),
        ] {
            let text = try refusal(json: "{\"max-payload\": \(value)}")
            #expect(
                text.contains("\(file.path), member \"max-payload\": \(shown) \(size)"), "\(text)")
        }
        let path = try refusal(json: "{\"auth-token-file\": 5}")
        #expect(path.contains("member \"auth-token-file\": 5 is no path"), "\(path)")
        // A NUL in a path would end it there for a system call, and another file be read.
        let cut = try refusal(json: "{\"auth-token-file\": \"\(file.path)\\u0000x\"}")
        #expect(cut.contains("member \"auth-token-file\"") && cut.contains("is no path"), "\(cut)")
        #expect(try refusal([], ["TOYMQ_CONFIG": ""]).contains("TOYMQ_CONFIG: '' is no path"))
        for broken in ["[1]", "{\"max-payload\": 1", "x", ""] {
            let text = try refusal(json: broken)
            #expect(text.contains("--config: \(file.path) is no JSON"), "\(text)")
            #expect(!text.contains("DecodingError") && !text.contains("Context("), "\(text)")
        }
        let config = try refusal([], ["TOYMQ_CONFIG": "/nonexistent.json"])
        #expect(config.contains("TOYMQ_CONFIG: cannot read /nonexistent.json: No such file"))
        for zero in ["0", "0s"] {
            let text = try refusal(["--shutdown-timeout", zero])
            #expect(text.contains("--shutdown-timeout has to be more than 0"), "\(text)")
        }
    }

    @Test("an address that cannot be had is named, with the setting that gave it")
    func addresses() throws {
        let broker = try BrokerProcess(try DataFolder())
        let taken = "127.0.0.1:\(broker.port)"
        func refusal(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String
        {
            let data = try DataFolder()
            do {
                _ = try BrokerProcess(data, arguments, environment: environment)
                return "it serves"
            } catch { return (error as? BrokerProcess.NotStarted)?.text ?? "\(error)" }
        }
        let reason = "Address already in use; stop what listens there"
        // The last one given counts.
        let own = try refusal(["--addr", taken])
        #expect(own.contains("cannot listen on \(taken) (--addr): \(reason)"), "\(own)")
        let metrics = try refusal(["--metrics-addr", taken])
        #expect(
            metrics.contains("cannot listen on \(taken) (--metrics-addr): \(reason)"), "\(metrics)")
        let variable = try refusal([], ["TOYMQ_METRICS_ADDR": taken])
        #expect(variable.contains("cannot listen on \(taken) (TOYMQ_METRICS_ADDR): \(reason)"))
        let foreign = try refusal(["--addr", "192.0.2.1:0"])
        #expect(foreign.contains("192.0.2.1:0 (--addr): ") && foreign.contains("of this machine"))
    }
}
