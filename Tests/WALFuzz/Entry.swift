#if LibFuzzer
    import FuzzTargets
    import Glibc

    // What libFuzzer calls. It brings its own main, so this target has none with the trait.

    /// The target, which TOYMQ_FUZZ_TARGET names.
    private let target: FuzzTarget = {
        let name = getenv("TOYMQ_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            complain("WALFuzz: set TOYMQ_FUZZ_TARGET to one of: \(known)\n")
            exit(64)
        }
        return target
    }()

    private func complain(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    /// Runs one input; a broken invariant ends the process, which is what libFuzzer looks for.
    @_cdecl("LLVMFuzzerTestOneInput")
    public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        let bytes = Array(UnsafeBufferPointer(start: start, count: count))
        if let broken = target.brokenInvariant(bytes) {
            complain("\nbroken invariant of \(target.rawValue): \(broken)\n")
            abort()
        }
        return 0
    }

    @_silgen_name("LLVMFuzzerMutate")
    private func mutate(_ start: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int) -> Int

    /// Mutates as libFuzzer does, then mends.
    @_cdecl("LLVMFuzzerCustomMutator")
    public func customMutator(
        _ start: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: CUnsignedInt
    ) -> Int {
        let changed = mutate(start, count, limit)
        var bytes = Array(UnsafeBufferPointer(start: start, count: changed))
        // 32 bits are given, and more are used.
        let spread = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        Mending.mend(&bytes, for: target, seed: spread ^ spread >> 29)
        guard bytes.count <= limit else { return changed }
        for (index, byte) in bytes.enumerated() { start[index] = byte }
        return bytes.count
    }
#endif
