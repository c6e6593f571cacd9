// SPDX-License-Identifier: Apache-2.0

import CFuzzing

/// Mutates as libFuzzer does, and then mostly makes the headers' checksums right again: a reader that refuses every
/// changed header for its checksum shows nothing of what comes after.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>?, _ count: Int, _ capacity: Int, _ seed: CUnsignedInt) -> Int {
    let mutated = LLVMFuzzerMutate(data, count, capacity)
    if !seed.isMultiple(of: 8) { repairChecksums(UnsafeMutableBufferPointer(start: data, count: mutated)) }
    return mutated
}

/// Follows headers like a reader. A file that is not a plain archive has nothing that looks like a header.
private func repairChecksums(_ bytes: UnsafeMutableBufferPointer<UInt8>) {
    var start = 0
    while start + 512 <= bytes.count {
        let block = UnsafeMutableBufferPointer(rebasing: bytes[start..<(start + 512)])
        start += 512
        guard isHeader(block) else { continue }
        write(sum(of: block), to: block)
        let size = number(block[124..<136])
        if size <= bytes.count - start { start += (size + 511) / 512 * 512 }
    }
}

/// Old headers have no magic number, but a mode of digits and blanks.
private func isHeader(_ block: UnsafeMutableBufferPointer<UInt8>) -> Bool {
    block[257..<262].elementsEqual("ustar".utf8)
        || block[100..<106].allSatisfy { (0x30...0x37).contains($0) || $0 == 0x20 }
}

private func sum(of block: UnsafeMutableBufferPointer<UInt8>) -> Int {
    block.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(block[$1])) }
}

private func write(_ sum: Int, to block: UnsafeMutableBufferPointer<UInt8>) {
    for digit in 0..<6 { block[148 + digit] = 0x30 + UInt8(sum >> (3 * (5 - digit)) & 7) }
    block[154] = 0
    block[155] = 0x20
}

private func number(_ field: Slice<UnsafeMutableBufferPointer<UInt8>>) -> Int {
    field.drop { $0 == 0x20 }.prefix { (0x30...0x37).contains($0) }.reduce(0) { $0 << 3 | Int($1 & 7) }
}
