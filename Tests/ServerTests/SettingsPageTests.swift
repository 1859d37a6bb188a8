import ArgumentParser
import Foundation
import ProcessSupport
import SystemPackage
import TestSupport
import Testing

@testable import toymq

/// The table of settings in docs/OPERATIONS.md is what the program takes, and what it says itself.
@Suite("The page of the settings", .timeLimit(.minutes(10)))
struct SettingsPageTests {
    private struct Row {
        /// Without its dashes.
        let name: String
        /// Nil for "none".
        let standard: String?
        let values: String

        /// The ends of "1 to 64"; nil if that is not what the values are.
        var ends: [String]? {
            let ends = values.components(separatedBy: " to ")
            return ends.count == 2 ? ends : nil
        }
    }

    private func rows() throws -> [Row] {
        try Document.table("settings", of: "docs/OPERATIONS.md").map { cells in
            Row(
                name: String(cells[0].unquoted.dropFirst(2)),
                standard: cells[1] == "none" ? nil : cells[1].unquoted, values: cells[2])
        }
    }

    /// All settings as they are with these flags, in words; why not if they cannot be used.
    private func settings(_ arguments: String...) throws -> Result<String, SettingsError> {
        let flags = try Flags.parse(arguments)
        return Result { () throws(SettingsError) in "\(try Settings(flags))" }
    }

    /// What `--help` says of each flag.
    private func help() throws -> [String: String] {
        struct Help: Decodable {
            struct Command: Decodable { let arguments: [Argument] }
            struct Argument: Decodable {
                struct Name: Decodable { let name: String }
                let names: [Name]?
                let abstract: String?
            }
            let command: Command
        }
        let ran = try FinishedProcess([builtProgram("toymq"), "--experimental-dump-help"])
        let help = try JSONDecoder().decode(Help.self, from: Data(ran.output.utf8))
        let texts = help.command.arguments.map { argument in
            (argument.names?.map(\.name).max { $0.count < $1.count } ?? "", argument.abstract ?? "")
        }
        return Dictionary(uniqueKeysWithValues: texts).filter {
            !["help", "version"].contains($0.key)
        }
    }

    @Test("every flag is in the table, and nothing else; it has the default of the help")
    func flags() throws {
        let rows = try rows()
        let help = try help()
        #expect(Set(rows.map(\.name)) == Set(help.keys) && rows.count == help.count)
        #expect(SettingValues.names == Set(rows.map(\.name)).subtracting(["config"]))
        for row in rows where row.name != "config" {
            let text = help[row.name] ?? ""
            #expect(text.hasSuffix("(default: \(row.standard ?? "none"))"), "\(row.name): \(text)")
        }
    }

    @Test("what is not given is the default of the table")
    func defaults() throws {
        let untouched = try settings().get()
        for row in try rows() {
            guard let standard = row.standard else { continue }
            #expect(try settings("--\(row.name)", standard).get() == untouched, "\(row.name)")
        }
        for absent in ["metrics: nil", "token: nil"] { #expect(untouched.contains(absent)) }
    }

    @Test("the values of the table are taken, and what lies beyond them is not")
    func values() throws {
        let untouched = try settings().get()
        for row in try rows() {
            let flag = "--\(row.name)"
            if let ends = row.ends {
                #expect(throws: Never.self, "\(row.name)") { try settings(flag, ends[0]).get() }
                #expect(try settings(flag, ends[1]).get() != untouched, "\(row.name)")
                for (end, step) in zip(ends, [-1, 1]) {
                    let beyond = try SettingsPageTests.next(end, step)
                    #expect(throws: SettingsError.self, "\(row.name) \(beyond)") {
                        // -1 by itself would be another flag.
                        try settings("\(flag)=\(beyond)").get()
                    }
                }
            } else if !["path", "address and port"].contains(row.values) {
                for value in row.values.components(separatedBy: ", ") where value != row.standard {
                    #expect(try settings(flag, value).get() != untouched, "\(row.name) \(value)")
                }
                let refusal = try settings(flag, "none")
                #expect(throws: SettingsError.self) { try refusal.get() }
                #expect("\(refusal)".contains("is none of \(row.values)"), "\(refusal)")
            }
        }
    }

    @Test("each is a flag, a variable and a member of the file, and called so where it is wrong")
    func sources() throws {
        let folder = try TemporaryDirectory()
        for row in try rows() {
            let flag = try settings("--\(row.name)", "")
            #expect("\(flag)".contains("--\(row.name): '' is no"), "\(flag)")

            let variable = "TOYMQ_" + row.name.uppercased().replacing("-", with: "_")
            do {
                _ = try BrokerProcess(try DataFolder(), environment: [variable: ""])
                // Both have a flag there.
                #expect(["addr", "data-dir"].contains(row.name), "\(variable)")
            } catch let error as BrokerProcess.NotStarted {
                #expect(error.text.contains("\(variable): '' is no"), "\(error.text)")
            }

            try folder.write("{\"\(row.name)\": \"\"}".utf8, to: "toymq.json")
            let path = folder.appending("toymq.json").string
            let member = "\(try settings("--config", path))"
            if row.name == "config" {
                #expect(member.contains("has a setting that there is not: \"config\""))
            } else {
                #expect(member.contains("member \"\(row.name)\": '' is no"), "\(member)")
            }
        }
    }

    /// The value so many steps further: of a size a byte, of a duration one of its unit.
    private static func next(_ text: String, _ step: Int) throws -> String {
        let digits = text.prefix { $0.isNumber }
        let number = try #require(Int(digits))
        let unit = String(text.dropFirst(digits.count))
        guard let shift = ["KiB": 10, "MiB": 20, "GiB": 30][unit] else {
            return "\(number + step)\(unit)"
        }
        return "\(number << shift + step)"
    }
}
