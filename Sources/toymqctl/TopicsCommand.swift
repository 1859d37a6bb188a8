import ArgumentParser
import Foundation
import ToolSupport
import ToyMQClient

struct TopicsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topics",
        abstract: "Lists the topics of a broker with their consumers.",
        discussion: """
            --json prints one object a topic, as the broker says it.

            Exit codes: 0 done; 1 a topic is not open, or standard output takes nothing more; 2 \
            no answer; 64 usage.
            """)

    @OptionGroup var remote: RemoteOptions

    @Flag(help: "Print a JSON object for each topic.")
    var json = false

    func run() throws {
        try remote.withClient { client in
            let topics = try TopicFacts.all(client)
            for topic in topics {
                try StandardOutput.line(json ? topic.json : topic.text)
                if !topic.isOpen { voice.say("topic \(topic.name) is \(topic.trouble)") }
            }
            return topics.allSatisfy(\.isOpen) ? .done : .incomplete
        }
    }
}

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Prints what a broker says of itself.",
        discussion:
            "Exit codes: 0 done; 1 standard output takes nothing more; 2 no answer; 64 usage.")

    @OptionGroup var remote: RemoteOptions

    @Flag(help: "Print the broker's JSON object as it is.")
    var json = false

    func run() throws {
        try remote.withClient { client in
            let text = try waitFor { () async throws(ClientError) in try await client.info() }
            if json {
                try StandardOutput.line(text)
                return .done
            }
            guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)),
                let members = object as? [String: Any]
            else { throw InputError("the broker's answer is no JSON object: \(text)") }
            let width = members.keys.map(\.count).max() ?? 0
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                let space = String(repeating: " ", count: width - name.count)
                try StandardOutput.line("\(name)\(space)  \(value)")
            }
            return .done
        }
    }
}
