internal import NIOConcurrencyHelpers

extension NIOLockedValueBox {
    /// As `withLockedValue`, for errors with a type.
    func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withLockedValue { value -> Swift.Result<Result, Failure> in
            do throws(Failure) { return .success(try body(&value)) } catch {
                return .failure(error)
            }
        }.get()
    }
}
