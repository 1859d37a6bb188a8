/// The version of this package, which all its programs have.
public enum ToolVersion {
    /// What `--version` prints and a broker tells.
    public static let current = "0.1.0"
}
