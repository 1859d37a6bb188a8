import ArgumentParser
import DataDirectory

extension TopicName {
    /// The value of an option that names a topic.
    init(argument: String) throws {
        do {
            try self.init(argument)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
