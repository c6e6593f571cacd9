import Glibc
import LXCCore

/// Refuses text with a NUL in it: C would see another, shorter text, and act on another object than the one named.
func requireNoNUL(_ text: String, _ what: String) throws(LXCError) {
    if text.utf8.contains(0) {
        throw LXCError(.invalidArgument, "\(what) contains a NUL character: \"\(text.escapedForDisplay)\"")
    }
}

/// A connection URI that may be shown: without the password some write before the host's name.
func withoutPassword(_ uri: String) -> String {
    guard let scheme = uri.firstRange(of: "://") else { return uri.escapedForDisplay }
    let rest = uri[scheme.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
        return uri.escapedForDisplay
    }
    return (String(uri[..<colon]) + String(uri[at...])).escapedForDisplay
}

/// A string libvirt allocated for us, freed here.
func takeString(_ pointer: UnsafeMutablePointer<CChar>) -> String {
    defer { free(pointer) }
    return String(cString: pointer)
}
