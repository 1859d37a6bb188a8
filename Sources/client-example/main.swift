import ToyMQClient

// Publishes three messages to the broker at the port given, and consumes them.
let port = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) : nil
try await ToyMQClient.with(ClientOptions(port: port ?? 6789)) { client in
    // With a key a message is sent again when the connection breaks, and appended once.
    let first = try await client.publish(Message("one", key: "example:0"), to: "greetings")
    print("message \(first.id) is on stable storage")

    // Sent ahead, answered later, in the same order.
    let second = try await client.startPublishing(Message("two"), to: "greetings")
    let third = try await client.startPublishing(Message("three"), to: "greetings")
    let last = try await third.receipt().id
    print("so are \(try await second.receipt().id) and \(last)")

    // Goes on over broken connections. What is not acknowledged comes again.
    let subscription = try client.subscribe(to: "greetings", as: "example")
    for try await delivery in subscription {
        print("\(delivery.id): \(delivery.text)")
        try await delivery.ack()
        if delivery.id == last { break }
    }
    await subscription.close()
}
