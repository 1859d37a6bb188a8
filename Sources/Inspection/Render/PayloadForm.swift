/// How payloads are shown.
package enum PayloadForm: String, CaseIterable, Sendable {
    /// As text where it is UTF-8; else escaped in text output, base64 in JSON.
    case text
    case hex
    case base64
    case none
}
