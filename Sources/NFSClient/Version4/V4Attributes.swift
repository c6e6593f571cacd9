// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree
import LXCCore

/// The attributes of NFSv4 that this package knows (RFC 7530, section 5), by their numbers.
enum V4Attribute: Int, CaseIterable {
    case type = 1
    case size = 4
    case hasHardLinks = 5
    case hasSymbolicLinks = 6
    case fileSystem = 8
    case error = 11
    case setsTimes = 15
    case handle = 19
    case fileID = 20
    case availableFiles = 21
    case freeFiles = 22
    case totalFiles = 23
    case maximumFileSize = 27
    case maximumRead = 30
    case maximumWrite = 31
    case mode = 33
    case links = 35
    case owner = 36
    case group = 37
    case device = 41
    case availableBytes = 42
    case freeBytes = 43
    case totalBytes = 44
    case used = 45
    case accessed = 47
    case setAccessed = 48
    case timeStep = 51
    case changed = 52
    case modified = 53
    case setModified = 54

    /// The attributes that ``NFSAttributes`` need.
    static let all: [V4Attribute] = [
        .type, .size, .fileSystem, .fileID, .mode, .links, .owner, .group, .device, .used, .accessed, .changed,
        .modified,
    ]
    /// The attributes that a listing returns for each name.
    static let listed: [V4Attribute] = all + [.error, .handle]
    static let statistics: [V4Attribute] = [
        .availableFiles, .freeFiles, .totalFiles, .availableBytes, .freeBytes, .totalBytes,
    ]
    static let information: [V4Attribute] = [
        .hasHardLinks, .hasSymbolicLinks, .setsTimes, .maximumFileSize, .maximumRead, .maximumWrite, .timeStep,
    ]

    /// The words of a bitmap4.
    static func mask(_ attributes: [V4Attribute]) -> [UInt32] {
        var words: [UInt32] = [0, 0]
        for attribute in attributes { words[attribute.rawValue / 32] |= 1 << (attribute.rawValue % 32) }
        return words
    }
}

extension NFSNewAttributes {
    /// As fattr4 has it: which are set, and their values in the order of their numbers.
    var v4: (mask: [UInt32], values: [UInt8]) {
        var set: [V4Attribute] = []
        var values = XDRWriter()
        if let size {
            set.append(.size)
            values.put(size)
        }
        if let mode {
            set.append(.mode)
            values.put(UInt32(mode))
        }
        for (attribute, id) in [(V4Attribute.owner, user), (.group, group)] {
            guard let id else { continue }
            set.append(attribute)
            values.put(opaque: Array("\(id)".utf8))
        }
        for (attribute, time) in [(V4Attribute.setAccessed, accessed), (.setModified, modified)] {
            guard let time else { continue }
            set.append(attribute)
            guard case .at(let time) = time else {
                values.put(UInt32(0))
                continue
            }
            values.put(UInt32(1))
            values.put(time.seconds)
            values.put(time.nanoseconds)
        }
        return (V4Attribute.mask(set), values.bytes)
    }
}

/// The attributes a server sent.
struct V4Values {
    private var numbers: [V4Attribute: UInt64] = [:]
    private var times: [V4Attribute: Timestamp] = [:]
    private var texts: [V4Attribute: [UInt8]] = [:]
    private var device: (major: UInt32, minor: UInt32) = (0, 0)

    /// - Throws: `LXCError` `corrupt` when they make no sense.
    init(_ attributes: fattr4) throws {
        let words = UnsafeBufferPointer(
            start: attributes.attrmask.bitmap4_val, count: Int(attributes.attrmask.bitmap4_len))
        let values = UnsafeRawBufferPointer(
            start: attributes.attr_vals.attrlist4_val, count: Int(attributes.attr_vals.attrlist4_len))
        var reader = XDRReader(Array(values))
        for (index, word) in words.enumerated() {
            for bit in 0..<32 where word >> UInt32(bit) & 1 != 0 {
                guard let attribute = V4Attribute(rawValue: index * 32 + bit) else {
                    throw NFSClient.senseless("GETATTR")
                }
                try take(attribute, &reader)
            }
        }
        guard reader.isAtEnd else { throw NFSClient.senseless("GETATTR") }
    }

    private mutating func take(_ attribute: V4Attribute, _ reader: inout XDRReader) throws {
        switch attribute {
        case .type, .hasHardLinks, .hasSymbolicLinks, .error, .setsTimes, .mode, .links:
            numbers[attribute] = UInt64(try reader.number(UInt32.self))
        case .size, .fileID, .availableFiles, .freeFiles, .totalFiles, .maximumFileSize, .maximumRead, .maximumWrite,
            .availableBytes, .freeBytes, .totalBytes, .used:
            numbers[attribute] = try reader.number(UInt64.self)
        case .fileSystem:
            let (major, minor) = (try reader.number(UInt64.self), try reader.number(UInt64.self))
            numbers[attribute] = major ^ (minor << 32 | minor >> 32)
        case .handle, .owner, .group: texts[attribute] = try reader.opaque()
        case .device: device = (try reader.number(UInt32.self), try reader.number(UInt32.self))
        case .accessed, .timeStep, .changed, .modified:
            let seconds = try reader.number(Int64.self)
            times[attribute] = .init(seconds: seconds, nanoseconds: min(try reader.number(UInt32.self), 999_999_999))
        case .setAccessed, .setModified: throw NFSClient.senseless("GETATTR")
        }
    }

    /// The handle, where it was asked for and is one.
    var handle: [UInt8]? { texts[.handle].flatMap { (1...128).contains($0.count) ? $0 : nil } }

    /// A number that has to be there.
    private func number<Number: FixedWidthInteger>(_ attribute: V4Attribute) throws -> Number {
        guard let value = numbers[attribute] else { throw NFSClient.senseless("GETATTR") }
        return Number(clamping: value)
    }

    private func time(_ attribute: V4Attribute) throws -> Timestamp {
        guard let value = times[attribute] else { throw NFSClient.senseless("GETATTR") }
        return value
    }

    private func id(_ attribute: V4Attribute) throws -> UInt32 {
        let text = String(decoding: texts[attribute] ?? [], as: UTF8.self)
        guard let id = UInt32(text) else {
            throw LXCError(
                .unsupported,
                "the NFS server calls an owner \"\(text.escapedForDisplay)\" where a number is needed; let it send numeric "
                    + "ids (Linux: nfs4_disable_idmapping=1, nfs-ganesha: Only_Numeric_Owners = true), or use version 3"
            )
        }
        return id
    }

    /// Whether this is a name of a listing whose attributes could not be read.
    var isError: Bool { numbers[.error].map { $0 != 0 } ?? false }

    func attributes() throws -> NFSAttributes {
        guard let type = NFSFileType(rawValue: try number(.type)) else { throw NFSClient.senseless("GETATTR") }
        return NFSAttributes(
            type: type, mode: try number(.mode) & 0o7777, links: try number(.links), user: try id(.owner),
            group: try id(.group), size: try number(.size), used: try number(.used),
            fileSystem: try number(.fileSystem), fileID: try number(.fileID), accessed: try time(.accessed),
            modified: try time(.modified), changed: try time(.changed), deviceMajor: device.major,
            deviceMinor: device.minor)
    }

    func statistics() throws -> NFSStatistics {
        NFSStatistics(
            totalBytes: try number(.totalBytes), freeBytes: try number(.freeBytes),
            availableBytes: try number(.availableBytes), totalFiles: try number(.totalFiles),
            freeFiles: try number(.freeFiles), availableFiles: try number(.availableFiles))
    }

    /// The server's limits; `largestWrite` is the maximum size of one WRITE.
    func information(largestWrite: UInt32) throws -> NFSInformation {
        let flag = { (attribute: V4Attribute) in numbers[attribute].map { $0 != 0 } ?? false }
        return NFSInformation(
            maximumRead: try number(.maximumRead), maximumWrite: min(try number(.maximumWrite), largestWrite),
            preferredDirectoryRead: 128 << 10, maximumFileSize: try number(.maximumFileSize),
            timeStep: times[.timeStep] ?? .init(seconds: 0, nanoseconds: 1), hasHardLinks: flag(.hasHardLinks),
            hasSymbolicLinks: flag(.hasSymbolicLinks), setsTimes: flag(.setsTimes))
    }
}
#endif
