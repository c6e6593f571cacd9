// SPDX-License-Identifier: Apache-2.0

/// Refuses text with a NUL in it: C would see another, shorter text, and act on another object than the one named.
///
/// Asked of every text from outside before it is given to the kernel or to a library.
///
/// - Throws: ``LXCError`` `invalidArgument`.
package func requireNoNUL(_ text: String, _ what: @autoclosure () -> String) throws(LXCError) {
    if text.utf8.contains(0) {
        throw LXCError(.invalidArgument, "\(what()) contains a NUL character: \"\(text.escapedForDisplay)\"")
    }
}
