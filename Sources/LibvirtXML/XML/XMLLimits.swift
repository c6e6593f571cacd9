// SPDX-License-Identifier: Apache-2.0

/// Limits of a document. libvirt's own documents stay far below: a few dozen KiB, a dozen levels.
enum XMLLimits {
    /// The most bytes of a document, read or written.
    static let bytes = 4 << 20
    /// The most elements inside each other, the document's own element counted.
    static let depth = 64
}
