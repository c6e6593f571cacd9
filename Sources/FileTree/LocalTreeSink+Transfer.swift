import CLinux
import Glibc
import LXCCore

extension LocalTreeSink: DescriptorSink {
    func share(with source: CInt) throws -> Bool {
        guard transfer.mayShare, case .file(let size)? = current?.kind, size > 0 else { return false }
        if clinux_clone_file(try openFile(), source) == 0 {
            transfer.shared = true
            written = size
            return true
        }
        guard [EOPNOTSUPP, EXDEV, EINVAL, ENOTTY, ENOSYS, EPERM].contains(errno) else {
            throw failure("ioctl FICLONE", "share the extents of")
        }
        guard options.strategy != .reflink else {
            throw LXCError(
                .unsupported, "the file system cannot share extents with the source; use the strategy auto or copy")
        }
        transfer.mayShare = false
        return false
    }

    func copy(_ extent: Range<UInt64>, from source: CInt) throws -> Bool {
        guard transfer.mayCopy else { return false }
        let descriptor = try openFile()
        var offset = extent.lowerBound
        while offset < extent.upperBound {
            let size = Int(min(extent.upperBound - offset, 16 << 20))
            let count = Descriptor.retrying {
                clinux_copy_file_range(source, off_t(offset), descriptor, off_t(offset), size)
            }
            if count < 0, offset == extent.lowerBound, [EXDEV, EOPNOTSUPP, EINVAL, ENOSYS].contains(errno) {
                transfer.mayCopy = false
                return false
            }
            guard count >= 0 else { throw failure("copy_file_range", "copy") }
            guard count > 0 else { throw LXCError(.io, "a file became shorter while it was copied; try again") }
            offset += UInt64(count)
        }
        transfer.copied = true
        written = max(written, extent.upperBound)
        return true
    }
}
