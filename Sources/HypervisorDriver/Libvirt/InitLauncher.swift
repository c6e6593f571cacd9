// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore
import LibvirtXML
import LinuxSystem

/// The program that process 1 of a container begins as: it waits until the container is under its limits (``StartGate``),
/// shows it its own control groups (``ControlGroupView``), and executes the real one.
///
/// Documents name it only on their way to libvirt.
enum InitLauncher {
    /// In the container's own /dev, which libvirt makes at each start, so that nothing of it is left in the volume.
    static let program = "/dev/.lxc-hypervisor-init"
    private static let cover = ByteCount.kibibytes(64)
    /// Persistent, because libvirtd can start containers before any program of this package runs.
    private static let parent = "/var/lib/lxc-hypervisor"
    private static let directory = parent + "/init"

    /// Adds it to the document of a container that this package has made.
    ///
    /// - Throws: `LXCError` `io`.
    static func added(to document: Domain, _ mounts: ControlGroupMounts) throws -> Domain {
        var domain = removed(from: document)
        guard try domain.containerMetadata() != nil, let uuid = domain.uuid, let initializer = domain.os.initPath
        else { return domain }
        let isItsOwn = domain.filesystems.contains { ControlGroupView.holds($0.target) }
        let isCovered = !isItsOwn && !mounts.hasOnlyVersion2 && domain.idMap != nil
        let file = path(of: uuid)
        try make(file, list(isItsOwn || isCovered ? nil : .init(isAlone: mounts.hasOnlyVersion2, uuid)))
        // libvirt adds to its copy; that must not be changed again.
        let isThere = document.filesystems.contains { $0.source == .mount(file) && $0.target == program }
        if isThere, document.os.initPath == program, document.filesystems.contains(where: isCover) == isCovered {
            return document
        }
        if isCovered { domain.filesystems.append(Filesystem(.ram(cover), target: ControlGroupView.target)) }
        domain.filesystems.append(Filesystem(.mount(file), target: program, isReadOnly: true))
        domain.os.initArguments.insert(initializer, at: 0)
        domain.os.initPath = program
        return domain
    }

    /// Removes it from a document.
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
        if case .ram = filesystem.source { return filesystem.target == ControlGroupView.target }
        return false
    }

    /// Removes the remains of a forgotten container.
    static func forget(_ uuid: UUID) { unlink(path(of: uuid)) }

    /// The path of a container's program on the host.
    static func path(of uuid: UUID) -> String { "\(directory)/\(uuid.uuidString.lowercased())" }

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

    /// Makes a directory that every container's root can pass, and only the host's root can write to. Another user of
    /// the directory may have made it earlier, with a closed mode.
    static func makePassable(_ path: String) throws {
        try DurableFile.makeDirectory(path, mode: 0o755)
        var status = stat()
        guard lstat(path, &status) == 0 else { throw LXCError.lastSystemCall("lstat", "look at \(path)") }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_mode & 0o111 != 0o111 else { return }
        guard chmod(path, status.st_mode & 0o7777 | 0o111) == 0 else {
            throw LXCError.lastSystemCall("chmod", "open \(path) to containers")
        }
    }

    /// The calls of the program. It continues after any failure.
    private static func list(_ view: ControlGroupView?) -> SystemCallList {
        var list = SystemCallList()
        let calls = clinux_calls
        let itself = list.place(program)
        StartGate.wait(at: itself, by: &list)
        view?.show(by: &list)
        list.call(calls.umount2, [itself, 2], to: "leave the launcher", tolerating: [EPERM, EINVAL, ENOENT, EBUSY])
        list.call(
            calls.unlinkat, [UInt64(bitPattern: Int64(AT_FDCWD)), itself, 0], to: "leave the launcher",
            tolerating: [EPERM, ENOENT, EBUSY, EACCES, EROFS])
        let argumentsAsProgram = -1
        // The container's console shows why it ends; a tolerated failure continues with the next call.
        list.call(
            argumentsAsProgram, [], to: "run process 1",
            tolerating: [ENOENT, EACCES, ENOEXEC, ENOTDIR, EPERM, ELOOP, EISDIR, EINVAL])
        let message = Array("the container's process 1 cannot be executed\r\n".utf8)
        list.call(calls.write, [2, list.place(message), UInt64(message.count)], to: "tell", tolerating: [EIO, EBADF])
        list.call(calls.exit_group, [127], to: "end")
        return list
    }
}
