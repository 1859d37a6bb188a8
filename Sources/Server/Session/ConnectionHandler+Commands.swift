import Broker
import DataDirectory
import Logging
import NIOCore
import WAL
import Wire

/// What is done for each command.
extension ConnectionHandler {
    /// False if the command has to wait; it comes again.
    func handle(_ command: Command, _ bytes: Span<UInt8>) -> Bool {
        switch command {
        case .publish(let publish): return self.publish(publish, bytes)
        case .subscribe(let topic, let consumer):
            return subscribe(bytes, topic: topic, consumer: consumer)
        case .acknowledge(let consumer, let id):
            settle(bytes, consumer, id, .acknowledgeFailed) { (feed) throws(BrokerError) in
                try feed.subscription.acknowledge(MessageID(id))
                service.counters.acknowledged.add()
            }
        case .reject(let consumer, let id):
            settle(bytes, consumer, id, .rejectFailed) { (feed) throws(BrokerError) in
                try feed.subscription.reject(MessageID(id))
                service.counters.rejected.add()
            }
        case .hello(let token): hello(token.map { bytes.copied($0) })
        case .ping: answer { ReplyWriter.pong(to: &$0) }
        case .info(let after):
            turn.expectLong()
            let json = service.info(after: after)
            answer { ReplyWriter.info(json, to: &$0) }
        case .quit:
            answer { ReplyWriter.ok(0, to: &$0) }
            finish()
        }
        return true
    }

    // MARK: HELLO

    private func hello(_ token: [UInt8]?) {
        guard isFirstCommand else {
            service.counters.errors.add()
            answer(Refusal(.hello, "HELLO comes first"))
            return
        }
        if let expected = service.options.token {
            guard let token, isSame(token, expected) else {
                service.counters.errors.add()
                note("closing: no token, or a wrong one")
                finish(with: Refusal(.authentication, "no token, or not the right one"))
                return
            }
        }
        parser.takesOnlyHello = false
        hasSaidHello = true
        answer { ReplyWriter.hello(to: &$0) }
    }

    /// Takes the same time wherever they differ: a token is not to be found out byte by byte.
    private func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        var difference = a.count ^ b.count
        for index in a.indices { difference |= Int(a[index] ^ b[index % max(b.count, 1)]) }
        return difference == 0
    }

    // MARK: PUB

    private func publish(_ publish: Publish, _ bytes: Span<UInt8>) -> Bool {
        if let failure = stalledFailure {
            stalledFailure = nil
            refusePublish(failure)
            return true
        }
        guard let target = publishTarget(publish.topic, bytes) else { return stall == nil }
        let payload = bytes.raw.extracting(publish.payload)
        let headers =
            publish.headers.isEmpty
            ? [] : publish.headers.map { MessageHeader(name: $0.name, value: $0.value) }
        let outcome: PublishOutcome
        if let key = publish.key {
            outcome = target.topic.publish(
                payload, key: bytes.copied(key), headers: headers, port: target.port, tag: tag)
        } else {
            outcome = target.topic.publish(payload, headers: headers, port: target.port, tag: tag)
        }
        switch outcome {
        case .staged:
            answers.addPublish(ObjectIdentifier(target.topic))
            loop.needsCommit(target.topic, for: tag)
        case .duplicate(let id):
            service.counters.duplicates.add()
            answer { ReplyWriter.duplicate(id.rawValue, to: &$0) }
        case .waits(let ticket): answers.addDuplicate(ticket: ticket)
        case .refused(let error): refusePublish(error)
        case .full:
            waitForTopic { resume in target.topic.notifyRoom { resume(nil) } }
            return false
        case .needsReopen:
            waitForTopic { resume in
                service.broker.reopen(target.topic) { resume(nil) }
            }
            return false
        }
        return true
    }

    private func refusePublish(_ error: BrokerError) {
        service.counters.publishErrors.add()
        answer(Refusal(error.code(.publishFailed), "\(error)"))
    }

    /// The topic to publish into; nil if the command was refused or has to wait.
    private func publishTarget(_ name: Range<Int>, _ bytes: Span<UInt8>) -> Target? {
        if let target, bytes.holds(target.name, at: name) { return target }
        switch findTopic(name, bytes) {
        case .success(let topic?):
            let found = Target(
                name: bytes.copied(name), topic: topic, port: topic.port(for: loop.inbox))
            target = found
            return found
        case .success(nil): return nil
        case .failure(let error):
            refusePublish(error)
            return nil
        }
    }

    /// The topic of that name; nil if it is being made, and the command has to wait.
    private func findTopic(
        _ range: Range<Int>, _ bytes: Span<UInt8>
    ) -> Result<Topic?, BrokerError> {
        let name: TopicName
        do throws(InvalidName) {
            name = try TopicName(bytes.raw.extracting(range))
        } catch {
            return .failure(.invalidName(error))
        }
        if let topic = service.broker.topic(name) { return .success(topic) }
        waitForTopic { resume in
            service.broker.makeTopic(name) { result in
                if case .failure(let error) = result { resume(error) } else { resume(nil) }
            }
        }
        return .success(nil)
    }

    /// Takes no more commands until `begin` has called back, which it may do on any thread.
    private func waitForTopic(_ begin: (@escaping @Sendable (BrokerError?) -> Void) -> Void) {
        stall = .topic
        let inbox: Inbox = loop.inbox
        let tag = tag
        begin { failure in inbox.post(tag, .resume(failure)) }
    }

    // MARK: SUB

    private func subscribe(
        _ bytes: Span<UInt8>, topic name: Range<Int>, consumer: Range<Int>
    ) -> Bool {
        if let failure = stalledFailure {
            stalledFailure = nil
            refuseSubscribe(failure)
            return true
        }
        let id: ConsumerID
        do throws(InvalidName) {
            id = try ConsumerID(bytes.raw.extracting(consumer))
        } catch {
            refuseSubscribe(.invalidName(error))
            return true
        }
        switch findTopic(name, bytes) {
        case .success(nil): return false
        case .failure(let error): refuseSubscribe(error)
        case .success(let topic?):
            if topic.mayBeReopened {
                waitForTopic { resume in service.broker.reopen(topic) { resume(nil) } }
                return false
            }
            do throws(BrokerError) {
                try subscribe(to: topic, as: id)
            } catch { refuseSubscribe(error) }
        }
        return true
    }

    private func subscribe(to topic: Topic, as consumer: ConsumerID) throws(BrokerError) {
        guard let context else { return }
        lastGeneration += 1
        let inbox: Inbox = loop.inbox
        let (tag, generation) = (tag, lastGeneration)
        let subscription = try topic.subscribe(
            consumer,
            wake: { inbox.post(tag, .wake(generation: generation)) },
            replaced: { inbox.post(tag, .replaced(generation: generation)) })
        // A new SUB replaces the one before, also if that is of the same consumer.
        feed?.close()
        feed = Feed(
            subscription, generation: generation, tag: tag, hasOptions: hasSaidHello, loop,
            context.channel.allocator)
        answers.addSubscribed(generation: generation)
    }

    private func refuseSubscribe(_ error: BrokerError) {
        service.counters.errors.add()
        answer(Refusal(error.code(.subscribeFailed), "\(error)"))
    }

    // MARK: ACK and NACK

    private func settle(
        _ bytes: Span<UInt8>, _ consumer: Range<Int>, _ id: UInt64, _ code: ErrorCode,
        _ body: (Feed) throws(BrokerError) -> Void
    ) {
        guard let feed else {
            service.counters.errors.add()
            answer(Refusal(.noSubscription, "SUB first"))
            return
        }
        guard bytes.holds(feed.consumer, at: consumer) else {
            service.counters.errors.add()
            answer(Refusal(code, "this connection's SUB is of another consumer"))
            return
        }
        do throws(BrokerError) {
            try body(feed)
            answer { ReplyWriter.ok(id, to: &$0) }
        } catch {
            service.counters.errors.add()
            answer(Refusal(code, "\(error)"))
        }
    }

    // MARK: What other threads tell

    func handle(_ event: Inbox.Event) {
        switch event {
        case .published(let topic, let first, let count):
            answers.settle(topic, .durable(first: first.rawValue, count: count))
        case .publishFailed(let topic, let count, let error):
            let refusal = Refusal(error.code(.publishFailed), "\(error)")
            answers.settle(topic, .failed(refusal, count: count))
        case .duplicate(let ticket, let result): settle(ticket, result)
        case .resume(let failure): resume(failure)
        case .wake(let generation):
            guard let feed, feed.generation == generation else { return }
            feed.woken()
            feed.readFresh(hasRoom: isWritable)
        case .replaced(let generation):
            guard let feed, feed.generation == generation else { return }
            service.logger.info(
                "another connection subscribed as the same consumer",
                metadata: metadata("consumer", feed.subscription.consumer.text))
        case .read(let generation, let result):
            guard let feed, feed.generation == generation else { return }
            feed.receive(result)
        }
    }

    private func settle(_ ticket: UInt64, _ result: Result<MessageID, BrokerError>) {
        var text: [UInt8] = []
        switch result {
        case .success(let id):
            service.counters.duplicates.add()
            ReplyWriter.duplicate(id.rawValue, to: &text)
        case .failure(let error):
            service.counters.publishErrors.add()
            ReplyWriter.error(Refusal(error.code(.publishFailed), "\(error)"), to: &text)
        }
        answers.settle(ticket: ticket, text)
    }

    /// Ends the connection if its consumer has got all that can be read, and there is more. There
    /// is no answer to put that into: the next SUB is told why. False if the connection goes on.
    func endIfUnreadable() -> Bool {
        // A command that waits is answered first.
        guard case .open = phase, stall == nil, let feed, let error = feed.end else { return false }
        var about = metadata("consumer", feed.subscription.consumer.text)
        about["topic"] = "\(feed.subscription.topic.text)"
        about["error"] = "\(error)"
        // What is wrong with the topic was told when it was found.
        switch error {
        case .damaged, .closed:
            service.logger.info("a subscription has ended: its topic is closed", metadata: about)
        default: service.logger.error("reading failed", metadata: about)
        }
        finish()
        return true
    }
}

extension BrokerError {
    /// The code on the wire; `other` where there is none of its own.
    func code(_ other: ErrorCode) -> ErrorCode {
        switch self {
        case .invalidName, .invalidMessage: .invalid
        case .damaged: .damaged
        case .busy: .busy
        case .unavailable, .unreadable, .notWritten, .failed, .stopping, .notInFlight, .detached:
            other
        }
    }
}
