// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCHypervisor

/// The one-line error text of this package's programs.
package enum ErrorText {
    /// The line for any error: Foundation's own texts name neither the file nor the reason.
    package static func line(of error: any Error) -> String {
        text(of: error).split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func text(of error: any Error) -> String {
        switch error {
        case is CancellationError: return "interrupted"
        case let error as LXCError: return error.description
        case is EncodingError: return "what was found cannot be written as JSON"
        case is DecodingError: return "what was read is not the document it has to be"
        case let error as POSIXError: return reason(error)
        case let error as CocoaError: return text(of: error)
        default: return String(describing: error).escapedForDisplay
        }
    }

    private static func text(of error: CocoaError) -> String {
        let path = error.filePath ?? error.url?.path
        let reason = (error.underlying as? POSIXError).map(reason)
        return switch (path, reason) {
        case (let path?, let reason?): "\(path.escapedForDisplay): \(reason)"
        case (let path?, nil): "\(path.escapedForDisplay) cannot be read or written"
        case (nil, let reason?): reason
        case (nil, nil): String(describing: error).escapedForDisplay
        }
    }

    private static func reason(_ error: POSIXError) -> String { String(cString: strerror(error.code.rawValue)) }
}
