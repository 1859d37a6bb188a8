import FoundationEssentials
import Glibc
import SystemPackage
import ToolSupport

/// A value that was given for a setting.
struct Setting {
    /// Where it was given.
    enum Source: CustomStringConvertible {
        case flag(String)
        case variable(String)
        case member(String, of: String)

        /// As it is called in errors.
        var description: String {
            switch self {
            case .flag(let name): "--\(name)"
            case .variable(let name): name
            case .member(let name, let file): "\(file), member \"\(name)\""
            }
        }
    }

    let text: String
    let source: Source
    /// In the file it is something else than a string, of which `text` is the JSON.
    var isBare = false

    /// That it is not what was expected.
    func isNot(_ what: String) -> SettingsError {
        SettingsError("\(source): \(isBare ? text : "'\(text)'") is \(what)")
    }
}

/// Where settings are looked up: a flag that was given, then the environment, then the file.
struct SettingValues {
    /// Every setting that the environment or the file may have.
    static let names: Set<String> = [
        "data-dir", "addr", "metrics-addr", "auth-token-file", "max-payload", "visibility-timeout",
        "dedupe-window", "shutdown-timeout", "max-connections", "max-topics", "max-consumers",
        "handshake-timeout", "frame-timeout", "idle-timeout", "segment-size", "event-loops",
        "committers", "log-format", "log-level",
    ]

    private let file: [String: Setting]

    init(file flag: String?) throws(SettingsError) {
        let named: Setting?
        if let flag {
            named = Setting(text: flag, source: .flag("config"))
        } else {
            named = try SettingValues.environment("config")
        }
        file = try named.map(SettingValues.load) ?? [:]
    }

    private static func load(_ config: Setting) throws(SettingsError) -> [String: Setting] {
        let path = config.text
        if path.isEmpty { throw config.isNot("no path, such as \"toymq.json\"") }
        let bytes = try SmallFile.bytes(config)
        let members: [String: JSONMember]
        do {
            members = try JSONDecoder().decode([String: JSONMember].self, from: Data(bytes))
        } catch {
            throw SettingsError(
                "\(config.source): \(path) \(SettingValues.text(error)); it has to be one JSON "
                    + "object of strings and whole numbers, such as {\"max-payload\": \"64KiB\"}")
        }
        // A setting that is misspelt would otherwise be one that does nothing.
        if let unknown = members.keys.filter({ !names.contains($0) }).min() {
            throw SettingsError("\(path) has a setting that there is not: \"\(unknown)\"")
        }
        var settings: [String: Setting] = [:]
        for (name, member) in members {
            settings[name] = Setting(
                text: member.text, source: .member(name, of: path), isBare: !member.isString)
        }
        return settings
    }

    private static func text(_ error: any Error) -> String {
        guard case DecodingError.dataCorrupted(let context)? = error as? DecodingError else {
            return "is no JSON object"
        }
        return "is no JSON" + (context.underlyingError.map { ": \($0)" } ?? "")
    }

    private static func environment(_ name: String) throws(SettingsError) -> Setting? {
        let letters = name.uppercased().map { $0 == "-" ? "_" : $0 }
        let variable = "TOYMQ_" + String(letters)
        guard let value = getenv(variable) else { return nil }
        // Mended, a path would be another one.
        guard let text = String(validatingCString: value) else {
            throw SettingsError("\(variable) is not UTF-8")
        }
        return Setting(text: text, source: .variable(variable))
    }

    /// What was given; nil if nothing was.
    func given(_ name: String, _ flag: String?) throws(SettingsError) -> Setting? {
        precondition(SettingValues.names.contains(name), "\(name) is not in the list")
        if let flag { return Setting(text: flag, source: .flag(name)) }
        return try SettingValues.environment(name) ?? file[name]
    }

    func path(_ name: String, _ flag: String?) throws(SettingsError) -> Setting? {
        guard let setting = try given(name, flag) else { return nil }
        // A system call would take what is before a NUL for the whole.
        guard !setting.isBare, !setting.text.isEmpty, !setting.text.contains("\0") else {
            throw setting.isNot("no path, such as \"data\"")
        }
        return setting
    }

    func number(
        _ name: String, _ flag: String?, _ range: ClosedRange<Int>, _ standard: Int
    ) throws(SettingsError) -> Int {
        guard let setting = try given(name, flag) else { return standard }
        guard let number = Int(setting.text), range.contains(number) else {
            throw setting.isNot("no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func size(
        _ name: String, _ flag: String?, _ range: ClosedRange<Int>, _ standard: Int
    ) throws(SettingsError) -> Int {
        guard let setting = try given(name, flag) else { return standard }
        let units: [(String, Int)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)]
        for (unit, shift) in units where setting.text.hasSuffix(unit) {
            guard let number = Int(setting.text.dropLast(unit.count)), number >= 0,
                number <= range.upperBound >> shift, range.contains(number << shift)
            else { break }
            return number << shift
        }
        throw setting.isNot(
            "no size from \(range.lowerBound) to \(range.upperBound) bytes, such as 65536 or 64KiB")
    }

    /// Nanoseconds, which cannot be 0: `zero` says why.
    func duration(
        _ name: String, _ flag: String?, _ standard: UInt64, zero: String
    ) throws(SettingsError) -> UInt64 {
        guard let setting = try given(name, flag) else { return standard }
        let duration = try SettingValues.nanoseconds(setting)
        if duration == 0 {
            throw SettingsError("\(setting.source) has to be more than 0: \(zero)")
        }
        return duration
    }

    /// A duration after which something ends; nil, which is given as 0, where it never does.
    func timeout(
        _ name: String, _ flag: String?, _ standard: UInt64?
    ) throws(SettingsError) -> UInt64? {
        guard let setting = try given(name, flag) else { return standard }
        let duration = try SettingValues.nanoseconds(setting)
        return duration == 0 ? nil : duration
    }

    private static func nanoseconds(_ setting: Setting) throws(SettingsError) -> UInt64 {
        guard let duration = nanoseconds(setting.text) else {
            throw setting.isNot(
                "no duration, such as 500ms, 30s, 2m or 1h, with a number up to 1000000")
        }
        return duration
    }

    private static func nanoseconds(_ text: String) -> UInt64? {
        if text == "0" { return 0 }
        let units: [(String, UInt64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ]
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = UInt64(text.dropLast(unit.count)), number <= 1_000_000 else {
                continue
            }
            return number * factor
        }
        return nil
    }

    func oneOf<T: RawRepresentable & CaseIterable>(
        _ name: String, _ flag: String?, _ standard: T
    ) throws(SettingsError) -> T where T.RawValue == String {
        guard let setting = try given(name, flag) else { return standard }
        guard let value = T(rawValue: setting.text) else {
            let all = T.allCases.map(\.rawValue).joined(separator: ", ")
            throw setting.isNot("none of \(all)")
        }
        return value
    }

    /// `127.0.0.1:6789`, `[::1]:6789`
    func address(
        _ name: String, _ flag: String?
    ) throws(SettingsError) -> HostPort? {
        guard let setting = try given(name, flag) else { return nil }
        let address = HostPort(setting.text, ports: 0...65_535, defaultHost: "0.0.0.0")
        guard let address else {
            throw setting.isNot("not ADDRESS:PORT, such as 127.0.0.1:6789")
        }
        return address
    }

    /// What an address was given with, or may be.
    func source(_ name: String, _ flag: String?) throws(SettingsError) -> String {
        let source = try given(name, flag)?.source
        return "\(source ?? .flag(name))"
    }
}

/// A member of the file: any JSON, so that errors can name the member.
private struct JSONMember: Decodable {
    let text: String
    let isString: Bool

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let string = try? container.decode(String.self)
        isString = string != nil
        if let string {
            text = string
        } else if let number = try? container.decode(Int.self) {
            text = String(number)
        } else if let number = try? container.decode(Double.self) {
            text = String(number)
        } else if let isTrue = try? container.decode(Bool.self) {
            text = String(isTrue)
        } else if container.decodeNil() {
            text = "null"
        } else {
            text = (try? decoder.unkeyedContainer()) == nil ? "an object" : "a list"
        }
    }
}

/// A file that settings name.
enum SmallFile {
    private static let byteLimit = 64 << 10

    /// All its bytes.
    static func bytes(_ setting: Setting) throws(SettingsError) -> [UInt8] {
        let path = setting.text
        var bytes = [UInt8](repeating: 0, count: byteLimit + 1)
        var count = 0
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            try file.closeAfter {
                // A pipe gives what it has, which may be less than all.
                while count < bytes.count {
                    let got = try bytes.withUnsafeMutableBytes {
                        try file.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[count...]))
                    }
                    if got == 0 { break }
                    count += got
                }
            }
        } catch {
            throw SettingsError("\(setting.source): cannot read \(path): \(error)")
        }
        guard count <= byteLimit else {
            throw SettingsError(
                "\(setting.source): \(path) has more than \(byteLimit) bytes")
        }
        return Array(bytes[..<count])
    }
}
