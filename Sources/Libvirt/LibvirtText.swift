import Glibc
import LXCCore

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
