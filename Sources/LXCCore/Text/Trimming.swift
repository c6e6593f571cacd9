// SPDX-License-Identifier: Apache-2.0

extension StringProtocol {
    /// The text without the white space at its beginning and its end.
    package var trimmed: SubSequence {
        let start = drop(while: \.isWhitespace)
        return start.lastIndex { !$0.isWhitespace }.map { start[...$0] } ?? start[start.endIndex...]
    }
}
