// SPDX-License-Identifier: Apache-2.0

/// Decompresses deflate (RFC 1951), the compression inside gzip.
protocol Inflater: AnyObject {
    /// Prepares for new data. False when it cannot.
    func reset() -> Bool

    /// Decodes some input, as much as there is or fits.
    func inflate(
        _ input: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) throws(InflaterDamage) -> InflaterStep

    /// The CRC-32 of the data with the checksum `crc` followed by `bytes`; 0 is the checksum of no data.
    func checksum(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32
}

/// The result of one call of an inflater.
struct InflaterStep {
    /// Bytes of input that were taken.
    var consumed: Int
    /// Bytes of contents that were made.
    var produced: Int
    /// Whether the data is complete.
    var isComplete: Bool
    /// Once it is: bytes that were taken, perhaps in an earlier call, and belong to what follows; eight at most.
    var readAhead: [UInt8] = []
}

/// Malformed compressed data.
struct InflaterDamage: Error {
    /// The fault, worded to follow a colon.
    let why: String
}

/// The library gzip files are inflated by.
package enum GzipEngine: Sendable, CaseIterable {
    #if ISAL
    /// Intel's ISA-L, on other processors too.
    case isal
    #endif
    case zlib

    /// The fastest this package was built with.
    package static var fastest: Self { allCases[0] }

    /// A new inflater; nil when it cannot be set up.
    var inflater: (any Inflater)? {
        switch self {
        #if ISAL
        case .isal: IsalInflater()
        #endif
        case .zlib: ZlibInflater()
        }
    }
}
