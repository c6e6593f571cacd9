import Glibc
import LXCCore

/// Refuses text with a NUL in it: C would see another, shorter text, and act on another object than the one named.
func requireNoNUL(_ text: String, _ what: String) throws(LXCError) {
    if text.utf8.contains(0) {
        throw LXCError(.invalidArgument, "\(what) contains a NUL character: \"\(text.escapedForDisplay)\"")
    }
}

/// A string libvirt allocated for us, freed here.
func takeString(_ pointer: UnsafeMutablePointer<CChar>) -> String {
    defer { free(pointer) }
    return String(cString: pointer)
}
