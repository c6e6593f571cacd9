import Foundation
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
        default: return text(ofForeign: error as NSError)
        }
    }

    private static func text(ofForeign error: NSError) -> String {
        let path = (error.userInfo[NSFilePathErrorKey] as? String) ?? (error.userInfo[NSURLErrorKey] as? URL)?.path
        let reason = number(in: error).map { String(cString: strerror(CInt($0))) }
        return switch (path, reason) {
        case (let path?, let reason?): "\(path.escapedForDisplay): \(reason)"
        case (let path?, nil): "\(path.escapedForDisplay) cannot be read or written"
        case (nil, let reason?): reason
        case (nil, nil): String(describing: error).escapedForDisplay
        }
    }

    /// The kernel's number for what failed.
    private static func number(in error: NSError) -> Int? {
        if error.domain == NSPOSIXErrorDomain { return error.code }
        return (error.userInfo[NSUnderlyingErrorKey] as? NSError).flatMap(number)
    }
}
