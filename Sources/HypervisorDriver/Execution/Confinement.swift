// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore

/// The confinement of the container's process 1, which applies to commands, too. None of it comes from this program,
/// which may be confined more (the command would fail without a reason in the container) or less (it could escape;
/// CVE-2022-24769).
struct Confinement: Hashable {
    /// Sets of capabilities, a bit for each.
    struct Capabilities: Hashable {
        var bounding: UInt64
        var inheritable: UInt64
        var ambient: UInt64
    }

    /// Limits of one resource, as setrlimit(2) counts; their numbers are the positions in ``Confinement/limits``.
    struct ResourceLimit: Hashable {
        var soft: UInt64
        var hard: UInt64

        static let unlimited = UInt64.max
    }

    /// The scheduling policy and priority (sched(7)).
    struct Scheduling: Hashable {
        var policy: UInt32
        var nice: Int32
        var priority: UInt32
    }

    var capabilities: Capabilities
    var limits: [ResourceLimit]
    /// The processors it may run on, a bit for each in words of 64.
    var processors: [UInt64]
    var scheduling: Scheduling
    /// ioprio_set(2).
    var ioPriority: CInt
    /// personality(2).
    var personality: UInt64
    var hasNoNewPrivileges: Bool
    var securityLabel: SecurityLabel?
    var memoryKillAdjustment: String
    /// The files that take a process into its control groups, those of version 2 left out.
    var controlGroupFiles: [String]
}

extension Confinement {
    /// Reads it from the text of files of `/proc/<pid>`.
    ///
    /// - Parameters:
    ///   - status: `status`.
    ///   - limits: `limits`.
    ///   - stat: `stat`.
    ///   - personality: `personality`.
    ///
    /// Nil when the kernel does not tell a part of it. What comes from elsewhere is left empty.
    init?(status: String, limits: String, stat: String, personality: String) {
        let fields = Self.fields(status)
        func set(_ name: String) -> UInt64? { fields[name].flatMap { UInt64($0, radix: 16) } }
        guard let bounding = set("CapBnd"), let inheritable = set("CapInh"),
            let processors = fields["Cpus_allowed"].flatMap(Self.mask), let limits = Self.limits(limits),
            let scheduling = Self.scheduling(stat)
        else { return nil }
        capabilities = Capabilities(
            // Capabilities outside of the bounding set cannot be added to the inheritable one (capabilities(7)).
            bounding: bounding, inheritable: inheritable & bounding, ambient: set("CapAmb") ?? 0)
        capabilities.ambient &= capabilities.inheritable
        self.limits = limits
        self.processors = processors
        self.scheduling = scheduling
        self.personality = UInt64(personality.prefix { $0 != "\n" }, radix: 16) ?? 0
        hasNoNewPrivileges = fields["NoNewPrivs"] == "1"
        ioPriority = 0
        securityLabel = nil
        memoryKillAdjustment = "0"
        controlGroupFiles = []
    }

    /// The lines `Name:<tab>value`.
    static func fields(_ status: String) -> [String: Substring] {
        status.split(separator: "\n").reduce(into: [:]) { fields, line in
            guard let colon = line.firstIndex(of: ":") else { return }
            let value = line[line.index(after: colon)...].drop { $0.isWhitespace }
            fields[String(line[..<colon])] = value
        }
    }

    /// Words of 32 bits in hexadecimal digits, the highest first.
    private static func mask(_ text: Substring) -> [UInt64]? {
        let words = text.split(separator: ",").map { UInt32($0, radix: 16) }
        guard !words.isEmpty, !words.contains(nil) else { return nil }
        var low = words.reversed().compactMap { $0.map(UInt64.init) }
        if low.count % 2 == 1 { low.append(0) }
        return stride(from: 0, to: low.count, by: 2).map { low[$0] | low[$0 + 1] << 32 }
    }

    /// The kernel writes them in the order of their numbers, after a line of headings, in columns of 26, 21 and 21
    /// characters.
    private static func limits(_ text: String) -> [ResourceLimit]? {
        var limits: [ResourceLimit] = []
        for line in text.split(separator: "\n").dropFirst() {
            let values = line.dropFirst(26).split(separator: " ").prefix(2).map { value in
                value == "unlimited" ? ResourceLimit.unlimited : UInt64(value)
            }
            guard values.count == 2, let soft = values[0], let hard = values[1] else { return nil }
            limits.append(ResourceLimit(soft: soft, hard: hard))
        }
        return limits.isEmpty ? nil : limits
    }

    /// Fields 19, 40 and 41 of proc_pid_stat(5); the second is a name in parentheses that can hold anything.
    private static func scheduling(_ stat: String) -> Scheduling? {
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 38, let nice = Int32(fields[16]), let priority = UInt32(fields[37]),
            let policy = UInt32(fields[38])
        else { return nil }
        // A process with a deadline cannot make others that have it too.
        let deadline: UInt32 = 6
        return policy == deadline
            ? Scheduling(policy: 0, nice: 0, priority: 0)
            : Scheduling(policy: policy, nice: nice, priority: priority)
    }
}

/// The capabilities of this program.
enum OwnCapabilities {
    /// The capabilities of a program that it executes as root (capabilities(7)).
    static func afterExecution() -> UInt64 {
        let fields = Confinement.fields(ControlGroup.read("/proc/self/status") ?? "")
        func set(_ name: String) -> UInt64 { fields[name].flatMap { UInt64($0, radix: 16) } ?? 0 }
        let all = set("CapInh") | set("CapBnd")
        return fields["NoNewPrivs"] == "1" ? all & set("CapPrm") : all
    }
}

/// A label of the host's security module, and how a process asks for it for the program it executes next.
struct SecurityLabel: Hashable {
    /// The file below `/proc/thread-self`.
    var file: String
    /// The text to write into it.
    var request: String

    /// The modules that give such labels.
    enum Module {
        case appArmor
        case seLinux
    }

    /// Creates a security label from what `attr/current` of a process says.
    ///
    /// - Parameters:
    ///   - current: the file's text.
    ///   - module: the label's security module.
    ///   - hasOwnFiles: whether the kernel has the files of AppArmor apart from those of other modules (Linux 5.8).
    ///
    /// Nil for a process that is not confined.
    init?(current: String, of module: Module, hasOwnFiles: Bool) {
        let text = current.prefix { $0 != "\0" && $0 != "\n" }
        guard !text.isEmpty else { return nil }
        switch module {
        case .appArmor:
            // `profile (mode)`; a profile's name may have spaces too.
            let name = text.hasSuffix(")") ? text.range(of: " (").map { text[..<$0.lowerBound] } ?? text : text
            guard name != "unconfined" else { return nil }
            file = hasOwnFiles ? "attr/apparmor/exec" : "attr/exec"
            request = "exec \(name)"
        case .seLinux:
            file = "attr/exec"
            request = String(text)
        }
    }
}

extension Substring {
    /// The last occurrence of a text.
    fileprivate func range(of text: String) -> Range<Index>? {
        var position = endIndex
        while position > startIndex {
            position = index(before: position)
            if self[position...].hasPrefix(text) { return position..<index(position, offsetBy: text.count) }
        }
        return nil
    }
}
