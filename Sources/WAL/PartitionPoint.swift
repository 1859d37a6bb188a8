extension RandomAccessCollection {
    /// The index of the first element behind which nothing `belongs` any more, by halving: of a
    /// collection in which all that belong come before all that do not.
    package func partitionPoint(_ belongs: (Element) -> Bool) -> Index {
        var low = startIndex
        var count = self.count
        while count > 0 {
            let half = count / 2
            let middle = index(low, offsetBy: half)
            if belongs(self[middle]) {
                low = index(after: middle)
                count -= half + 1
            } else {
                count = half
            }
        }
        return low
    }
}
