// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The description of a compressed file in errors.
struct DecoderProblem {
    let format: CompressionFormat
    /// The file's path in quotes, fit for a message.
    let shown: String

    /// The error for damage.
    func damage(_ why: String) -> LXCError {
        if let tester {
            return LXCError(
                .corrupt,
                "the \(format.rawValue) file \(shown) cannot be decompressed: \(why); test it with \(tester), which tells "
                    + "whether it is one")
        }
        return LXCError(.corrupt, "the \(format.rawValue) file \(shown) is damaged: \(why); get it again")
    }

    /// The program that tests a file of a rare format, whose first bytes may occur by chance.
    private var tester: String? {
        switch format {
        case .compress: "gzip -t"
        case .lz4: "lz4 -t"
        case .lzip: "lzip -t"
        default: nil
        }
    }

    /// The error for a file whose decoder would need more memory than ``DecoderWindow`` allows.
    var window: LXCError {
        LXCError(
            .limitExceeded,
            "\(shown) asks for a \(format.rawValue) window of more than \(DecoderWindow.maximum) bytes; "
                + "compress it with a smaller one")
    }

    /// The error for a decoder that cannot be set up, or cannot go on for a reason that is not the file's.
    func trouble(_ why: String) -> LXCError {
        LXCError(.io, "the \(format.rawValue) file \(shown) cannot be decompressed: \(why)")
    }

    /// The error for a variant of the format the host's library does not know.
    func unknown(_ what: String) -> LXCError {
        LXCError(
            .unsupported,
            "the \(format.rawValue) file \(shown) uses \(what) this host cannot undo; compress it without")
    }
}
