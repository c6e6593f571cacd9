/// A source whose files are open locally, so that their contents can be moved inside the kernel.
package protocol DescriptorSource: TreeSource {
    /// The descriptor of the file ``TreeSource/next()`` last returned.
    var currentFile: CInt? { get }
    /// The next stretch of that file that is no hole; nil after the last. Not to be mixed with `readPiece`.
    func nextExtent() throws -> Range<UInt64>?
    /// Goes back to the first stretch of that file.
    func rewindFile()
}

/// A sink that can take the contents of the file last begun from a descriptor.
package protocol DescriptorSink: TreeSink {
    /// Makes the file share all extents of `source`; false where the file systems cannot, and then nothing was written.
    func share(with source: CInt) throws -> Bool
    /// Copies a stretch inside the kernel; false where the kernel cannot, and then nothing was written.
    func copy(_ extent: Range<UInt64>, from source: CInt) throws -> Bool
}
