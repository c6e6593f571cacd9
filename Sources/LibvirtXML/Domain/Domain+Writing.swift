// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore

extension Domain {
    /// The domain as a document for libvirt: UTF-8, indented, elements in the order libvirt's documentation has them.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` when a value breaks the rule of its field, or holds a
    ///   character that XML 1.0 cannot hold; the message names the field, as in `os/initarg[2]`. `limitExceeded`
    ///   when the document would be larger than 4 MiB.
    public func xml() throws -> String {
        try FieldFault.reported { try written().printed() }
    }

    /// The places of a domain's elements.
    static let order = [
        "name", "uuid", "genid", "title", "description", "metadata", "maxMemory", "memory", "currentMemory",
        "blkiotune", "memtune", "memoryBacking", "vcpu", "vcpus", "iothreads", "iothreadids", "cputune", "numatune",
        "resource", "sysinfo", "bootloader", "bootloader_args", "os", "idmap", "features", "cpu", "clock",
        "on_poweroff", "on_reboot", "on_crash", "on_lockfailure", "pm", "perf", "devices", "seclabel",
    ]

    /// The places of a domain's devices.
    static let deviceOrder = [
        "emulator", "disk", "controller", "lease", "filesystem", "interface", "smartcard", "serial", "parallel",
        "console", "channel", "input", "tpm", "graphics", "sound", "audio", "video", "hostdev", "redirdev",
        "redirfilter", "hub", "watchdog", "memballoon", "rng", "nvram", "panic", "shmem", "memory", "iommu", "vsock",
    ]

    private func written() throws -> XMLFragment {
        var element = other
        element.name = "domain"
        try element.set("type", type.rawValue)
        try writeIdentity(&element)
        try writeResources(&element)
        try writeBehaviour(&element)
        try element.write("devices", writeDevices)
        element.sort(Self.order)
        return element
    }

    private func writeIdentity(_ element: inout XMLFragment) throws {
        try element.writeText("name", name, .objectName)
        try element.writeText("uuid", uuid?.uuidString.lowercased())
        try element.writeText("title", title, .line)
        try element.writeText("description", description)
        try element.write("metadata") { element in
            try Self.checkNamespaces(metadata)
            element.children += metadata.map { .element($0) }
        }
    }

    /// libvirt keeps one element for each namespace, and silently drops the others.
    private static func checkNamespaces(_ metadata: [XMLFragment]) throws {
        var seen: Set<String> = []
        for element in metadata {
            try FieldFault.inside(element.name.local) {
                guard let namespace = element.name.namespace, seen.insert(namespace).inserted else {
                    throw FieldFault("needs a namespace that no other element of the metadata has")
                }
            }
        }
    }

    private func writeResources(_ element: inout XMLFragment) throws {
        try element.writeSize("memory", memory)
        try element.writeSize("currentMemory", currentMemory)
        try element.write("blkiotune", blockIOTuning.write)
        try element.write("memtune", memoryTuning.write)
        try element.write("vcpu") { element in
            guard let virtualCPUs else { return }
            try element.set("cpuset", virtualCPUs.cpuSet, .cpuSet)
            try element.setNumber(virtualCPUs.count, in: 1...65535)
        }
        try element.write("cputune", cpuTuning.write)
        try element.write("idmap") { try idMap?.write(&$0) }
    }

    private func writeBehaviour(_ element: inout XMLFragment) throws {
        try element.write("os", os.write)
        try element.write("features", features.write)
        try element.write("clock") { try $0.set("offset", clock?.rawValue) }
        try element.writeText("on_poweroff", onPowerOff?.rawValue)
        try element.writeText("on_reboot", onReboot?.rawValue)
        try element.writeText("on_crash", onCrash?.rawValue)
    }

    private func writeDevices(_ element: inout XMLFragment) throws {
        try element.writeText("emulator", emulator, .absoluteFilePath)
        try element.writeEach("disk", disks) { try $0.written() }
        try element.writeEach("filesystem", filesystems) { filesystem in
            if type == .lxc { try filesystem.checkContainerTarget() }
            return try filesystem.written()
        }
        try element.writeEach("interface", interfaces) { try $0.written() }
        try element.writeEach("serial", serials) { try $0.written() }
        try element.writeEach("console", consoles) { try $0.written() }
        try element.writeEach("channel", channels) { try $0.written() }
        try element.writeEach("hostdev", hostDevices) { try $0.written() }
        try element.write("memballoon") { try $0.set("model", memoryBalloon?.rawValue) }
        element.sort(Self.deviceOrder)
    }
}
