import Foundation
import Glibc
import Testing

@Suite("Positions at the end")
struct PositionsTests {
    /// A broker with a message that is acknowledged and whose position cannot be written: a
    /// directory that is not empty has the name of the temporary file.
    private func hindered(_ data: DataFolder, stopsWithin timeout: String) throws -> (
        BrokerProcess, obstacle: URL
    ) {
        let broker = try BrokerProcess(data, ["--shutdown-timeout", timeout])
        let client = try broker.client()
        #expect(try client.publish("t", "x") == "OK 0")
        let obstacle = data.url.appendingPathComponent("topics/t/offsets.json.tmp")
        try FileManager.default.createDirectory(
            at: obstacle.appendingPathComponent("inside"), withIntermediateDirectories: true)
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(try client.message().id == 0)
        #expect(try client.command("ACK c 0") == "OK 0")
        return (broker, obstacle)
    }

    @Test("positions that cannot be written to the end are told, by the exit code too")
    func neverWritten() throws {
        let data = try DataFolder()
        let (broker, obstacle) = try hindered(data, stopsWithin: "1s")
        #expect(broker.stop() == 1)
        let log = broker.log
        #expect(log.contains("positions were not written before the end"), "\(log)")
        #expect(log.contains("will be delivered again"), "\(log)")
        #expect(log.contains("positions_not_written=1"), "\(log)")
        try FileManager.default.removeItem(at: obstacle)
        let again = try BrokerProcess(data)
        let client = try again.client()
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(try client.message().id == 0)
    }

    @Test("positions are tried again while it stops")
    func writtenAtLast() throws {
        let data = try DataFolder()
        let (broker, obstacle) = try hindered(data, stopsWithin: "60s")
        // Told once while it serves, and once more when it stops.
        func wait(for count: Int) {
            let deadline = Date() + 20
            while broker.log.components(separatedBy: "will be tried again").count <= count,
                Date() < deadline
            { sched_yield() }
        }
        wait(for: 1)
        broker.signal(SIGTERM)
        wait(for: 2)
        try FileManager.default.removeItem(at: obstacle)
        #expect(broker.wait() == 0)
        #expect(!broker.log.contains("before the end"), "\(broker.log)")
        let again = try BrokerProcess(data)
        let client = try again.client()
        #expect(try client.command("SUB t c") == "OK 0")
        #expect(try client.isQuiet())
    }
}
