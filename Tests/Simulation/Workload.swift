package import WAL

/// Something that programs do with a log, small enough that its crashes can be counted.
package struct Workload: Sendable {
    /// What is played around it.
    package enum Trial: String, CaseIterable, Sendable {
        /// A crash before every call and within every write.
        case crashes
        /// Every call fails in every way, the program opens the log again, and then crashes.
        case faults
        /// The same, but the program is killed where its log takes no more.
        case faultsAndKill = "faults, killed"
        /// Every read fails or comes back wrong.
        case reads
    }

    package let name: String
    /// What may tear: sectors, pages, and units so small that a frame has several.
    package var units = [512, 64, 16]
    package var trials: [Trial] = [.crashes]
    /// How many crashes may follow each other.
    package var depth = 2
    /// Large files: one state in so many is worth its time.
    package var cost = 1
    package var options = LogOptions()
    package let body: @Sendable (Run) -> Void

    init(
        _ name: String, segmentBytes: Int? = nil, units: [Int]? = nil,
        trials: [Trial] = [.crashes], depth: Int = 2, cost: Int = 1,
        _ body: @escaping @Sendable (Run) -> Void
    ) {
        self.name = name
        self.trials = trials
        self.depth = depth
        self.cost = cost
        self.body = body
        if let units { self.units = units }
        if let segmentBytes { options.segmentBytes = segmentBytes }
    }
}

extension Workload {
    package static let all: [Workload] =
        [
            Workload("new log, single appends", trials: [.crashes, .faults, .faultsAndKill]) {
                run in
                run.open()
                run.append(1, bytes: 10)
                run.append(1, bytes: 600)
                run.append([[]])
            },
            Workload("group commits of 2 to 8", units: [512, 64]) { run in
                run.open()
                for number in 2...8 { run.append(number, bytes: 30 + 8 * number) }
            },
            Workload("group commits, failing", units: [64], trials: [.faults, .faultsAndKill]) {
                run in
                run.open()
                run.append(3, bytes: 60)
                run.append(4, bytes: 10)
                run.append(2, bytes: 200)
            },
            Workload("keys and headers", trials: [.crashes, .reads]) { run in
                run.open()
                run.appendKeyed(3, bytes: 100)
                run.appendKeyed(3, bytes: 0)
            },
            Workload("largest frame", units: [4096], cost: 50) { run in
                run.open()
                run.append(1, bytes: FrameLayout.largestFrame - FrameLayout.smallestFrame)
                run.append(2, bytes: 5000)
            },
            Workload(
                "idle marks", trials: [.crashes, .faults, .faultsAndKill, .reads]
            ) { run in
                run.open()
                run.append(2, bytes: 100)
                run.idle()
                run.append(2, bytes: 100)
                run.idle()
                run.append(1, bytes: 700)
                run.append(2, bytes: 20)
                run.idle()
            },
            Workload("close and open", trials: [.crashes, .faults, .faultsAndKill]) { run in
                run.open()
                run.append(2, bytes: 100)
                run.close()
                run.open()
                run.append(3, bytes: 200)
                run.close()
                run.open()
            },
            Workload("seal and roll", segmentBytes: 4096, trials: [.crashes, .reads]) { run in
                run.open()
                for _ in 0..<4 { run.append(2, bytes: 900) }
                run.idle()
                run.append(1, bytes: 1500)
                run.append(1, bytes: 1500)
                run.idle()
            },
            Workload(
                "drop of segments", segmentBytes: 4096, units: [512],
                trials: [.crashes, .faults, .faultsAndKill]
            ) { run in
                run.open()
                for _ in 0..<4 { run.append(2, bytes: 1500) }
                run.idle()
                run.drop(below: 5)
                run.append(1, bytes: 1500)
                run.drop(below: 2)
                run.append(1, bytes: 900)
                run.drop(below: 9)
                run.close()
            },
            Workload("zero-filled space", segmentBytes: 128 << 10, units: [4096, 512], cost: 4) {
                run in
                run.open()
                run.append(1, bytes: 40_000)
                run.append(2, bytes: 500)
                run.append(2, bytes: 500)
            },
            Workload(
                "zero-filled and sealed", segmentBytes: 64 << 10, units: [4096],
                trials: [.crashes, .faults], cost: 4
            ) { run in
                run.open()
                run.append(1, bytes: 33_000)
                run.append(2, bytes: 500)
                run.append(1, bytes: 40_000)
                run.append(1, bytes: 10)
            },
        ] + lives + payloads + besides

    /// Several processes, one after the other.
    private static let lives: [Workload] = [
        Workload("killed, opened, appended to") { run in
            run.open()
            run.append(3, bytes: 60)
            run.append(1, bytes: 300)
            run.kill()
            run.open()
            run.append(2, bytes: 100)
            run.kill()
            run.open()
            run.append(1, bytes: 10)
        },
        Workload("power lost, opened, appended to", trials: [.crashes, .faultsAndKill]) { run in
            run.open()
            run.append(2, bytes: 60)
            run.idle()
            run.losePower()
            run.open()
            run.append(3, bytes: 100)
            run.idle()
            run.losePower()
            run.open()
            run.append(1, bytes: 10)
        },
        Workload("crashes during recovery", units: [64], depth: 3) { run in
            run.open()
            run.append(2, bytes: 60)
            run.append(4, bytes: 80)
        },
        Workload("torn, cut, torn again", units: [64], trials: [.crashes, .faults]) { run in
            run.open()
            run.append(2, bytes: 60)
            run.tear(4, bytes: 80)
            run.open()
            run.tear(4, bytes: 80)
            run.open()
            run.append(1, bytes: 80)
            run.append(1, bytes: 80)
        },
    ]

    /// Payloads that look like logs.
    private static let payloads: [Workload] = [
        Workload("copies of its own frames") { run in
            run.open()
            run.append(2, bytes: 50)
            for _ in 0..<2 { run.append([run.activeBytes]) }
            run.append(2, bytes: 50)
        },
        Workload("frames of a later time", units: [64, 16]) { run in
            run.open()
            run.append(2, bytes: 50)
            run.append([run.foreignFrames(from: 1000), run.foreignFrames(from: 2000)])
            run.append([run.foreignFrames(from: 3)])
        },
        Workload("its own frames, at the right position", units: [64, 16]) { run in
            run.open()
            run.append(3, bytes: 50)
            run.append([run.framesInPlace()])
            run.append([run.framesInPlace(), [1]])
        },
    ]

    /// Other frames and files.
    private static let besides: [Workload] = [
        Workload("lost ids", units: [64], trials: [.crashes, .faults]) { run in
            run.open()
            run.append(1, bytes: 60)
            run.appendLost(5)
            run.append(2, bytes: 60)
        },
        Workload(
            "offsets.json replaced", units: [512, 64],
            trials: [.crashes, .faults, .faultsAndKill]
        ) { run in
            run.open()
            run.append(2, bytes: 60)
            run.acknowledgeAll()
            run.append(1, bytes: 100)
            run.acknowledgeAll()
            run.append(1, bytes: 10)
            run.acknowledgeAll()
        },
    ]
}
