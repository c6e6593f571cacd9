// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension MemoryTuning {
    /// Removes the modelled parts from `<memtune>`.
    init(taking rest: inout XMLFragment) throws {
        try self.init(
            hardLimit: rest.read("hard_limit") { try $0.takeSize() },
            softLimit: rest.read("soft_limit") { try $0.takeSize() },
            swapHardLimit: rest.read("swap_hard_limit") { try $0.takeSize() })
    }

    /// Puts the limits into `<memtune>`.
    func write(_ element: inout XMLFragment) throws {
        try element.writeSize("hard_limit", hardLimit)
        try element.writeSize("soft_limit", softLimit)
        try element.writeSize("swap_hard_limit", swapHardLimit)
        element.sort(["hard_limit", "soft_limit", "min_guarantee", "swap_hard_limit"])
    }
}

extension CPUTuning {
    /// Removes the modelled parts from `<cputune>`.
    init(taking rest: inout XMLFragment) throws {
        try self.init(
            shares: rest.read("shares") { try $0.takeNumber() },
            period: rest.read("period") { try $0.takeNumber() },
            quota: rest.read("quota") { try $0.takeNumber() })
    }

    /// Puts the values into `<cputune>`. The ranges are libvirt's.
    func write(_ element: inout XMLFragment) throws {
        try element.writeNumber("shares", shares, in: 1...262_144)
        try element.writeNumber("period", period, in: 1000...1_000_000)
        try element.writeNumber("quota", quota, in: -1...17_592_186_044_415)
        element.sort(["shares", "period", "quota"])
    }
}

extension BlockIOTuning {
    /// Removes the modelled parts from `<blkiotune>`.
    init(taking rest: inout XMLFragment) throws {
        try self.init(
            weight: rest.read("weight") { try $0.takeNumber() },
            devices: rest.readEach("device") { try Device(reading: $0) })
    }

    /// Puts weight and devices into `<blkiotune>`.
    func write(_ element: inout XMLFragment) throws {
        try element.writeNumber("weight", weight, in: 100...1000)
        try element.writeEach("device", devices) { try $0.written() }
        element.sort(["weight", "device"])
    }
}

extension BlockIOTuning.Device {
    fileprivate init(reading element: XMLFragment) throws {
        var rest = element
        self.init(path: try rest.required(rest.readText("path"), "path"))
        weight = try rest.read("weight") { try $0.takeNumber() }
        readBytesPerSecond = try rest.read("read_bytes_sec") { try $0.takeNumber() }
        writeBytesPerSecond = try rest.read("write_bytes_sec") { try $0.takeNumber() }
        readOperationsPerSecond = try rest.read("read_iops_sec") { try $0.takeNumber() }
        writeOperationsPerSecond = try rest.read("write_iops_sec") { try $0.takeNumber() }
        other = rest
    }

    fileprivate func written() throws -> XMLFragment {
        var element = other
        try element.writeText("path", path, .absoluteFilePath)
        try element.writeNumber("weight", weight, in: 100...1000)
        try element.writeNumber("read_iops_sec", readOperationsPerSecond)
        try element.writeNumber("write_iops_sec", writeOperationsPerSecond)
        try element.writeNumber("read_bytes_sec", readBytesPerSecond)
        try element.writeNumber("write_bytes_sec", writeBytesPerSecond)
        element.sort(["path", "weight", "read_iops_sec", "write_iops_sec", "read_bytes_sec", "write_bytes_sec"])
        return element
    }
}

extension IDMap {
    /// Removes all of `<idmap>` from the element; `nil` when it maps nothing.
    ///
    /// An id map decides about the rights of a container's root on its host, so none of it is ignored: a part unknown
    /// to this model is an error.
    init?(taking rest: inout XMLFragment) throws {
        let users = try rest.readEach("uid", Range.init(taking:))
        let groups = try rest.readEach("gid", Range.init(taking:))
        guard rest.isEmpty else { throw LXCError(.corrupt, "<idmap> has parts other than uid and gid ranges") }
        if users.isEmpty, groups.isEmpty { return nil }
        do {
            try self.init(users: users, groups: groups)
        } catch let error as LXCError {
            throw LXCError(.corrupt, "<idmap>: \(error.message)")
        }
    }

    /// Puts the ranges into `<idmap>`.
    func write(_ element: inout XMLFragment) throws {
        try element.writeEach("uid", users) { try $0.written() }
        try element.writeEach("gid", groups) { try $0.written() }
    }
}

extension IDMap.Range {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        try self.init(
            container: rest.required(rest.takeNumber("start"), "start"),
            host: rest.required(rest.takeNumber("target"), "target"),
            count: rest.required(rest.takeNumber("count"), "count"))
        if !rest.isEmpty { return nil }
    }

    fileprivate func written() throws -> XMLFragment {
        var element = XMLFragment("range")
        try element.set("start", String(container))
        try element.set("target", String(host))
        try element.set("count", String(count))
        return element
    }
}
