import Glibc

/// The time of day.
public enum WallClock {
    /// Nanoseconds since 1970-01-01 UTC: clock_gettime(2) of CLOCK_REALTIME.
    public static var nanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
