import CLinux
import DomainXML
import Foundation
import Glibc
import LXCCore

/// What a container sees of control groups. libvirt shows it the host's own trees: the names and the use of all others,
/// and where the container's root is the host's, groups without the container's limits to go to.
///
/// Where all is of version 2, and for a container whose root is the host's, process 1 begins as a small program that makes
/// a namespace of control groups, in which the container's own is all there is, shows that at `/sys/fs/cgroup` and
/// executes the real one. What is left are containers without the host's root where controllers are of version 1: nothing
/// there could be given to them, and the place is covered.
///
/// Documents have this only on their way to libvirt.
struct ControlGroupView: Sendable {
    private static let target = "/sys/fs/cgroup"
    /// In the container's own /dev, which libvirt makes at each start, so that nothing of it is left in the volume.
    private static let program = "/dev/.lxc-hypervisor-init"
    private static let cover = ByteCount.kibibytes(64)
    /// Kept, because libvirtd can start containers before anybody else runs on the host.
    private static let parent = "/var/lib/lxc-hypervisor"
    private static let directory = parent + "/init"

    /// Adds it to the document of a container that this package has made.
    ///
    /// - Throws: `LXCError` `io`.
    static func added(to document: Domain, _ mounts: ControlGroupMounts) throws -> Domain {
        var domain = removed(from: document)
        guard try domain.containerMetadata() != nil, let uuid = domain.uuid, let initializer = domain.os.initPath,
            !domain.filesystems.contains(where: { $0.target == target || $0.target.hasPrefix(target + "/") })
        else { return domain }
        guard mounts.hasOnlyVersion2 || domain.idMap == nil else {
            // libvirt adds to what it has; that is not to be changed again.
            if document.os == domain.os, document.filesystems.contains(where: isCover) { return document }
            domain.filesystems.append(Filesystem(.ram(cover), target: target))
            return domain
        }
        let file = path(of: uuid)
        try make(file, list(isAlone: mounts.hasOnlyVersion2, uuid))
        let isThere = document.filesystems.contains { $0.source == .mount(file) && $0.target == program }
        if isThere, document.os.initPath == program, !document.filesystems.contains(where: isCover) { return document }
        domain.filesystems.append(Filesystem(.mount(file), target: program, isReadOnly: true))
        domain.os.initArguments.insert(initializer, at: 0)
        domain.os.initPath = program
        return domain
    }

    /// Takes it from a document.
    static func removed(from document: Domain) -> Domain {
        var domain = document
        domain.filesystems.removeAll { filesystem in
            filesystem.target == program || isCover(filesystem)
        }
        if domain.os.initPath == program, let initializer = domain.os.initArguments.first {
            domain.os.initPath = initializer
            domain.os.initArguments.removeFirst()
        }
        return domain
    }

    private static func isCover(_ filesystem: Filesystem) -> Bool {
        if case .ram = filesystem.source { return filesystem.target == target }
        return false
    }

    /// Takes away what a container that is forgotten leaves.
    static func forget(_ uuid: UUID) { unlink(path(of: uuid)) }

    /// The name of the group of version 2 of a container whose limits are of version 1.
    static func group(of uuid: UUID) -> String { "guest-\(uuid.uuidString.lowercased())" }

    private static func path(of uuid: UUID) -> String { "\(directory)/\(uuid.uuidString.lowercased())" }

    /// Whether a file is the program process 1 of a container begins as.
    static func isProgram(_ file: stat, of uuid: UUID) -> Bool {
        var status = stat()
        return lstat(path(of: uuid), &status) == 0 && status.st_ino == file.st_ino && status.st_dev == file.st_dev
    }

    private static func make(_ file: String, _ list: SystemCallList) throws {
        let image = EnterProgram.image(list)
        for path in [parent, directory] { try makePassable(path) }
        if let there = try DurableFile.read(file), there == image { return }
        try DurableFile.write(image, to: file, mode: 0o755)
        guard chmod(file, 0o755) == 0 else { throw LXCError.lastSystemCall("chmod", "open \(file) to containers") }
    }

    /// Makes a directory through which every container's root passes, and into which only the host's root writes. Who keeps
    /// something else of the host in it may have made it first, closed.
    static func makePassable(_ path: String) throws {
        try DurableFile.makeDirectory(path, mode: 0o755)
        var status = stat()
        guard lstat(path, &status) == 0 else { throw LXCError.lastSystemCall("lstat", "look at \(path)") }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_mode & 0o111 != 0o111 else { return }
        guard chmod(path, status.st_mode & 0o7777 | 0o111) == 0 else {
            throw LXCError.lastSystemCall("chmod", "open \(path) to containers")
        }
    }

    /// What the program does. It goes on whatever fails: then the place is covered.
    private static func list(isAlone: Bool, _ uuid: UUID) -> SystemCallList {
        var list = SystemCallList()
        let calls = clinux_calls
        let here = UInt64(bitPattern: Int64(AT_FDCWD))
        let any = [EPERM, EINVAL, ENOENT, EBUSY, ENODEV, EACCES, EROFS, EEXIST]
        let (detach, readOnly, plain): (UInt64, UInt64, UInt64) = (2, 1, 2 | 4 | 8)
        let (type, place) = (list.place("cgroup2"), list.place(target))
        func call(_ number: Int, _ arguments: [UInt64]) {
            list.call(number, arguments, to: "show control groups", tolerating: any)
        }
        call(calls.umount2, [place, detach])
        let memory = list.place("tmpfs")
        call(calls.mount, [memory, place, memory, plain | readOnly, list.place("size=64k,mode=755")])
        if !isAlone {
            // With its limits elsewhere it has no group of its own there yet, and may make one: its root is the host's.
            let host = "/dev/.lxc-hypervisor-groups"
            let (tree, home) = (list.place(host), "\(host)/\(CommandControlGroup.home)")
            let own = "\(home)/\(group(of: uuid))"
            call(calls.mkdirat, [here, tree, 0o700])
            call(calls.mount, [type, tree, type, plain, 0])
            call(calls.mkdirat, [here, list.place(home), 0o755])
            call(calls.mkdirat, [here, list.place(own), 0o755])
            let flags = UInt64(O_WRONLY | clinux_o_cloexec)
            let file = list.call(
                calls.openat, [here, list.place("\(own)/cgroup.procs"), flags], to: "show control groups",
                tolerating: any)
            let write = list.call(
                calls.write, [.max, list.place(Array("0".utf8)), 1], to: "show control groups",
                tolerating: any.dropLast() + [EBADF])
            list.store(resultOf: file, asFirstArgumentOf: write)
            call(calls.umount2, [tree, detach])
            call(calls.unlinkat, [here, tree, UInt64(AT_REMOVEDIR)])
        }
        call(calls.unshare, [UInt64(clinux_clone.cgroup)])
        call(calls.mount, [type, place, type, plain, 0])
        let itself = list.place(program)
        call(calls.umount2, [itself, detach])
        call(calls.unlinkat, [here, itself, 0])
        let argumentsAsProgram = -1
        // Its console says why it ends; what is tolerated here goes on with the next call.
        list.call(
            argumentsAsProgram, [], to: "run process 1",
            tolerating: [ENOENT, EACCES, ENOEXEC, ENOTDIR, EPERM, ELOOP, EISDIR, EINVAL])
        let message = Array("the container's process 1 cannot be executed\r\n".utf8)
        list.call(calls.write, [2, list.place(message), UInt64(message.count)], to: "tell", tolerating: [EIO, EBADF])
        list.call(calls.exit_group, [127], to: "end")
        return list
    }
}
